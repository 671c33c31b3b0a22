use std::future::{pending, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::BytesMut;
use loom::future::block_on;
use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use loom::thread;

use super::buffered::{Buffered, Pressure, Share};
use super::phase::{Phase, PhaseTeller};
use super::reply_queue::ReplyQueue;
use super::stream_slots::{Closed, StreamSlots};
use super::turn::Turn;
use super::unsent::Unsent;
use crate::wire::{Encoding, Status};

#[test]
fn turn_a_task_that_is_woken_looks_again() {
    loom::model(|| {
        let turn = Turn::new();
        let work = Arc::new(AtomicBool::new(false));
        let (waker, done) = (turn.waker(), Arc::clone(&work));
        let other = thread::spawn(move || {
            done.store(true, Ordering::Release);
            waker.wake();
        });
        block_on(poll_fn(|cx| {
            turn.begin(cx);
            turn.looks_again();
            let seen = work.load(Ordering::Acquire);
            turn.end();
            if seen { Poll::Ready(()) } else { Poll::Pending }
        }));
        other.join().unwrap();
    });
}

const UNIT: usize = 64 * 1024;

#[test]
fn gauge_nothing_is_lost_and_the_end_of_the_pressure_is_told() {
    loom::model(|| {
        let all = Arc::new(Buffered::new(2 * UNIT));
        let told = |share: &Share, bytes| [share.add(bytes).1, share.subtract(bytes).1];
        let theirs = Share::new(Arc::clone(&all));
        let other = thread::spawn(move || told(&theirs, 2 * UNIT));
        let ours = Share::new(Arc::clone(&all));
        let mut pressure = told(&ours, UNIT + 7).to_vec();
        pressure.extend(other.join().unwrap());
        // Two units are the limit, so it is always reached.
        let count = |one| pressure.iter().filter(|told| **told == one).count();
        assert!(
            count(Pressure::Pause) + count(Pressure::Cut) > 0,
            "{pressure:?}"
        );
        assert!(count(Pressure::Gone) > 0, "{pressure:?}");
        assert!(!all.is_over());
        assert_eq!(ours.bytes(), 0);
        // Nothing is left: as much fits as at first.
        let again = Share::new(Arc::clone(&all));
        assert_eq!(again.add(2 * UNIT - 1).1, Pressure::None);
    });
}

#[test]
fn gauge_what_a_connection_held_goes_with_it() {
    loom::model(|| {
        let all = Arc::new(Buffered::new(2 * UNIT));
        let theirs = Share::new(Arc::clone(&all));
        let other = thread::spawn(move || {
            theirs.add(2 * UNIT);
        });
        let ours = Share::new(Arc::clone(&all));
        ours.add(3 * UNIT);
        drop(ours);
        other.join().unwrap();
        assert!(!all.is_over());
        let again = Share::new(Arc::clone(&all));
        assert_eq!(again.add(2 * UNIT - 1).1, Pressure::None);
    });
}

#[test]
fn wait_queue_who_waits_for_room_goes_on_when_there_is_some() {
    loom::model(|| {
        let unsent = Arc::new(Unsent::new(10, Arc::new(Buffered::new(UNIT))));
        unsent.add(10);
        let connection = Arc::clone(&unsent);
        let task = thread::spawn(move || {
            connection.left(3);
            connection.left(20);
        });
        block_on(unsent.has_room());
        task.join().unwrap();
        assert_eq!(unsent.bytes(), 0);
    });
}

/// As much as a handler may have waiting.
const FULL: usize = 32 * 1024;

fn full_queue() -> ReplyQueue {
    let queue = ReplyQueue::new(Encoding::Identity);
    queue.lock().bytes = BytesMut::zeroed(FULL);
    queue
}

#[test]
fn cancel_and_finish_a_handler_that_waits_for_room_is_woken() {
    loom::model(|| {
        let queue = full_queue();
        let handler = queue.clone();
        let handler =
            thread::spawn(move || block_on(poll_fn(|cx| handler.poll_room(cx).map_ok(drop))));
        block_on(poll_fn(|cx: &mut Context<'_>| {
            assert_eq!(queue.lock().take().len(), FULL);
            queue.lock().handed_over(cx);
            Poll::Ready(())
        }));
        assert!(handler.join().unwrap().is_ok());
    });
}

#[test]
fn cancel_and_finish_a_handler_that_waits_for_room_hears_of_the_end() {
    loom::model(|| {
        let queue = full_queue();
        let handler = queue.clone();
        let handler =
            thread::spawn(move || block_on(poll_fn(|cx| handler.poll_room(cx).map_ok(drop))));
        queue.seal(Status::cancelled("over"));
        assert!(handler.join().unwrap().is_err());
    });
}

#[test]
fn cancel_and_finish_what_is_sent_before_the_end_is_there() {
    loom::model(|| {
        let queue = ReplyQueue::new(Encoding::Identity);
        let handler = queue.clone();
        let handler = thread::spawn(move || {
            block_on(poll_fn(|cx| {
                handler.poll_room(cx).map_ok(|mut state| {
                    state.bytes.extend_from_slice(b"hello");
                    state.queued(5);
                })
            }))
        });
        queue.seal(Status::cancelled("over"));
        // Nothing comes after the end.
        let at_the_end = queue.lock().bytes.len();
        let sent = handler.join().unwrap().is_ok();
        assert_eq!(queue.lock().bytes.len(), at_the_end);
        assert_eq!(sent, at_the_end == 5);
    });
}

#[test]
fn cancel_and_finish_the_writer_hears_of_a_message_from_another_task() {
    loom::model(|| {
        let queue = ReplyQueue::new(Encoding::Identity);
        let handler = queue.clone();
        let handler = thread::spawn(move || {
            let mut state = handler.lock();
            state.bytes.extend_from_slice(b"hello");
            state.queued(5);
        });
        block_on(poll_fn(|cx| {
            let mut state = queue.lock();
            if state.has_work() {
                return Poll::Ready(());
            }
            state.writer_waits(cx);
            Poll::Pending
        }));
        handler.join().unwrap();
    });
}

#[test]
fn cancel_and_finish_who_waits_for_the_end_hears_of_it() {
    loom::model(|| {
        let queue = ReplyQueue::new(Encoding::Identity);
        let ending = queue.clone();
        let other = thread::spawn(move || ending.seal(Status::cancelled("over")));
        block_on(queue.sealed());
        other.join().unwrap();
    });
}

#[test]
fn slots_no_more_streams_than_there_may_be_and_none_is_lost() {
    loom::model(|| {
        let slots = Arc::new(StreamSlots::new());
        slots.set_limit(1);
        let open = Arc::new(AtomicUsize::new(0));
        let call = |slots: &StreamSlots, open: &AtomicUsize| {
            assert_eq!(block_on(slots.take()), Ok(()));
            assert_eq!(open.fetch_add(1, Ordering::SeqCst), 0);
            open.fetch_sub(1, Ordering::SeqCst);
            slots.give_back();
        };
        let (their_slots, their_open) = (Arc::clone(&slots), Arc::clone(&open));
        let other = thread::spawn(move || call(&their_slots, &their_open));
        call(&slots, &open);
        other.join().unwrap();
        assert!(slots.try_take());
        assert!(!slots.try_take());
    });
}

#[test]
fn slots_a_limit_that_changes_while_streams_end_holds_in_the_end() {
    loom::model(|| {
        let slots = Arc::new(StreamSlots::new());
        slots.set_limit(2);
        assert!(slots.try_take() && slots.try_take());
        let ending = Arc::clone(&slots);
        let other = thread::spawn(move || {
            ending.give_back();
            ending.give_back();
        });
        slots.set_limit(0);
        slots.set_limit(1);
        other.join().unwrap();
        assert!(slots.try_take());
        assert!(!slots.try_take());
        assert_eq!(slots.open(), 1);
    });
}

#[test]
fn slots_who_waits_hears_that_there_will_be_none() {
    loom::model(|| {
        let slots = Arc::new(StreamSlots::new());
        let closing = Arc::clone(&slots);
        let other = thread::spawn(move || closing.close());
        assert_eq!(block_on(slots.take()), Err(Closed));
        other.join().unwrap();
        assert_eq!(slots.load().waiting, 0);
    });
}

#[test]
fn slots_who_makes_connections_hears_that_more_are_wanted() {
    loom::model(|| {
        let slots = Arc::new(StreamSlots::new());
        let calling = Arc::clone(&slots);
        let other = thread::spawn(move || block_on(calling.take()));
        block_on(slots.are_wanted());
        slots.set_limit(1);
        assert_eq!(other.join().unwrap(), Ok(()));
    });
}

#[test]
fn phase_a_watch_sees_it_move_to_the_end() {
    loom::model(|| {
        let teller = PhaseTeller::new();
        let mut watch = teller.watch();
        let other = thread::spawn(move || {
            teller.tell(Phase::Draining);
            drop(teller);
        });
        let mut seen = vec![Phase::Serving];
        while seen.last() != Some(&Phase::Gone) {
            let (again, now) = block_on(watch.next());
            assert!(seen.last() < Some(&now), "{now:?} after {seen:?}");
            seen.push(now);
            watch = again;
        }
        assert!(!watch.has_moved());
        other.join().unwrap();
    });
}

#[test]
fn phase_work_that_never_ends_is_cut() {
    loom::model(|| {
        let teller = PhaseTeller::new();
        let watch = teller.watch();
        let other = thread::spawn(move || {
            teller.tell(Phase::Draining);
            teller.tell(Phase::Cutting);
            teller
        });
        block_on(watch.clone().drain_begins());
        assert_ne!(watch.now(), Phase::Serving);
        assert_eq!(block_on(watch.until_cut(pending::<()>())), None);
        drop(other.join().unwrap());
    });
}
