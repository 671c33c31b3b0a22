//! What is counted while somebody has it, and must be at nothing when nobody can have it any more.
//!
//! Looked at in debug builds alone: that nothing is left is a promise of this crate to itself.

/// Nothing of `what` is left.
///
/// # Panics
///
/// In debug builds, if there is; not while another panic is under way, which would end the process.
#[track_caller]
pub(crate) fn assert_none_left(left: usize, what: &str) {
    debug_assert!(
        left == 0 || std::thread::panicking(),
        "{left} {what} are left"
    );
}
