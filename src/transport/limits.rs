//! What HTTP/2 itself says of settings, for the configurations of both sides.
//!
//! Spec: RFC 9113 §6.5.2, §6.9.1.

/// Windows that are legal, and such that one unread stream cannot starve the others.
pub(super) fn check_windows(stream: u32, connection: u32) -> Result<(), String> {
    for (name, value) in [("stream_window", stream), ("connection_window", connection)] {
        // A window is at most 2^31-1. RFC 9113 §6.9.1.
        if !(65_535..=0x7fff_ffff).contains(&value) {
            return Err(format!(
                "{name} is {value}, but must be 65535 to 2147483647"
            ));
        }
    }
    if connection / 4 < stream {
        return Err(format!(
            "connection_window is {connection}, but must be at least four times stream_window \
             ({stream})"
        ));
    }
    Ok(())
}

/// A frame size that may be announced. RFC 9113 §6.5.2 (SETTINGS_MAX_FRAME_SIZE).
pub(super) fn check_frame_size(size: u32) -> Result<(), String> {
    if (16_384..=0x00ff_ffff).contains(&size) {
        Ok(())
    } else {
        Err(format!(
            "max_frame_size is {size}, but must be 16384 to 16777215"
        ))
    }
}
