use std::sync::Arc;

use loom::thread;

use super::inflight::InflightBytes;
use crate::transport::counters::Counters;

#[test]
fn inflight_messages_stay_within_the_limit_and_leave_nothing() {
    loom::model(|| {
        let inflight = Arc::new(InflightBytes::new(100, Counters));
        let theirs = Arc::clone(&inflight);
        let other = thread::spawn(move || theirs.charge(60).ok());
        let ours = inflight.charge(60).ok();
        let theirs = other.join().unwrap();
        // One of them finds no room, and is not in the way of the other.
        assert!(ours.is_some() != theirs.is_some());
        drop((ours, theirs));
        assert!(inflight.charge(100).is_ok());
    });
}
