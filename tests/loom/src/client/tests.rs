use std::sync::Arc;

use loom::future::block_on;
use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use loom::thread;

use super::balance::{Backend, Balancer, CallInfo};
use super::pick::{Picker, SubchannelState, Wake};
use crate::transport::counters::Counters;
use crate::wire::{Code, Status};

#[derive(Debug)]
struct First;

impl Balancer for First {
    fn pick(&self, _: &CallInfo<'_>, _: &[Backend]) -> Option<usize> {
        Some(0)
    }
}

fn picker() -> Arc<Picker> {
    Arc::new(Picker::new(Arc::new(First), 2, Counters))
}

fn backend() -> Backend {
    Backend(Arc::new(AtomicBool::new(false)))
}

/// Picks, and yields how it failed if it did.
fn pick(picker: &Picker, wait_for_ready: bool) -> Option<Code> {
    let wake = || {
        picker.wake();
        Ok(())
    };
    let picked = block_on(picker.pick(wait_for_ready, &CallInfo("a call"), wake));
    picked.err().map(|status| status.code)
}

#[test]
fn pick_a_call_that_waits_has_the_connection_that_comes() {
    loom::model(|| {
        let picker = picker();
        let subchannel = Arc::clone(&picker);
        let other = thread::spawn(move || {
            subchannel.keep(&[1]);
            subchannel.set(1, SubchannelState::Ready(backend()));
        });
        assert_eq!(pick(&picker, true), None);
        other.join().unwrap();
    });
}

#[test]
fn pick_a_call_that_waits_hears_of_the_shutdown() {
    loom::model(|| {
        let picker = picker();
        picker.keep(&[1]);
        let subchannel = Arc::clone(&picker);
        let other = thread::spawn(move || {
            let over = Status::unavailable("over");
            subchannel.set(1, SubchannelState::Shutdown(over));
        });
        assert_eq!(pick(&picker, true), Some(Code::Unavailable));
        other.join().unwrap();
    });
}

#[test]
fn pick_a_full_backend_that_is_lost_is_not_waited_for() {
    loom::model(|| {
        let picker = picker();
        picker.keep(&[1]);
        let full = backend();
        assert!(full.take().is_some());
        picker.set(1, SubchannelState::Ready(full));
        let subchannel = Arc::clone(&picker);
        let other = thread::spawn(move || {
            let lost = Status::unavailable("lost");
            subchannel.set(1, SubchannelState::TransientFailure(lost));
        });
        assert_eq!(pick(&picker, false), Some(Code::Unavailable));
        other.join().unwrap();
    });
}

#[test]
fn pick_a_channel_that_falls_asleep_is_woken_by_the_call_that_waits() {
    loom::model(|| {
        let picker = picker();
        picker.keep(&[1]);
        let pool = Arc::clone(&picker);
        let other = thread::spawn(move || pool.fall_asleep());
        let begun = AtomicUsize::new(0);
        let wake = || {
            // Whoever is first to wake it works for it.
            if picker.wake() == Wake::Begin {
                begun.fetch_add(1, Ordering::SeqCst);
                picker.keep(&[2]);
                picker.set(2, SubchannelState::Ready(backend()));
            }
            Ok(())
        };
        let picked = block_on(picker.pick(true, &CallInfo("a call"), wake));
        assert!(picked.is_ok());
        assert_eq!(begun.load(Ordering::SeqCst), 1);
        other.join().unwrap();
    });
}
