use std::sync::Arc;

use loom::future::block_on;
use loom::thread;

use super::call_count::{CallCount, CallPermit};

#[test]
fn drain_ends_with_the_last_call() {
    loom::model(|| {
        let calls = Arc::new(CallCount::default());
        let theirs = Arc::clone(&calls);
        let other = thread::spawn(move || {
            let one = CallPermit::take(&theirs, 2);
            let another = CallPermit::take(&theirs, 2);
            drop(one);
            drop(another);
        });
        block_on(calls.wait_for_none());
        other.join().unwrap();
        assert_eq!(calls.open(), 0);
    });
}

#[test]
fn drain_no_more_calls_than_there_may_be() {
    loom::model(|| {
        let calls = Arc::new(CallCount::default());
        let theirs = Arc::clone(&calls);
        let other = thread::spawn(move || {
            let permit = CallPermit::take(&theirs, 1);
            permit.is_some()
        });
        let ours = CallPermit::take(&calls, 1);
        assert!(other.join().unwrap() || ours.is_some());
        drop(ours);
        assert_eq!(calls.open(), 0);
    });
}
