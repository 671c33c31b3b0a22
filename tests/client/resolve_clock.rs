//! `client::resolve::clock`: P200.

// The clock is no part of the public interface, and needs nothing of it.
#[path = "../../src/client/resolve/clock.rs"]
mod clock;

use std::time::Duration;

use clock::ResolveClock;
use tokio::time::Instant;

/// What happens to a clock.
#[derive(Clone, Copy, Debug)]
enum Event {
    Asked,
    Announced,
    Begins,
    Succeeds,
    /// The delay is 1 s, and 1 s more for each earlier failure.
    Fails,
}
use Event::{Announced, Asked, Begins, Fails, Succeeds};

/// When the next lookup is due after these events, in milliseconds like the times of the events.
fn due_after(events: &[(u64, Event)]) -> Option<u64> {
    let start = Instant::now();
    let mut clock = ResolveClock::new(start);
    for (at, event) in events {
        let now = start + Duration::from_millis(*at);
        match event {
            Asked => clock.ask(),
            Announced => clock.announce(),
            Begins => clock.begin(now),
            Succeeds => clock.succeed(now),
            Fails => clock.fail(now, |earlier| Duration::from_secs(1 + u64::from(earlier))),
        }
    }
    let due = clock.due_at()?;
    Some(u64::try_from(due.duration_since(start).as_millis()).unwrap())
}

#[test]
#[rustfmt::skip]
fn p200_lookups_are_asked_for_rarely_and_repeated_after_failures() {
    let cases: &[(&[(u64, Event)], Option<u64>, &str)] = &[
        (&[],                                                          Some(0),      "the first is due at once"),
        (&[(0, Begins)],                                               None,         "one runs"),
        (&[(0, Begins), (5, Asked), (6, Announced)],                   None,         "one runs"),
        (&[(0, Begins), (10, Succeeds)],                               None,         "nobody asks"),
        (&[(0, Begins), (10, Succeeds), (20, Asked)],                  Some(30_010), "30 s after the last success"),
        (&[(0, Begins), (10, Succeeds), (90_000, Asked)],              Some(30_010), "the 30 s are long over"),
        (&[(0, Begins), (5, Asked), (10, Succeeds)],                   Some(30_010), "asked while one ran"),
        (&[(0, Asked), (0, Begins), (10, Succeeds)],                   None,         "asked before it began"),
        (&[(0, Begins), (10, Succeeds), (20, Asked), (30_010, Begins)], None,        "one runs"),
        (&[(0, Begins), (10, Fails)],                                  Some(1_010),  "again after the delay"),
        (&[(0, Begins), (10, Fails), (20, Asked)],                     Some(1_010),  "asking does not shorten it"),
        (&[(0, Begins), (10, Fails), (1_010, Begins), (1_020, Fails)], Some(3_020),  "longer each time"),
        (&[(0, Begins), (10, Fails), (1_010, Begins), (1_020, Succeeds), (2_000, Asked)],
                                                                       Some(31_020), "a failure is forgotten"),
        (&[(0, Begins), (10, Fails), (1_010, Begins), (1_020, Succeeds), (2_000, Asked), (31_020, Begins), (31_030, Fails)],
                                                                       Some(32_030), "and so is its delay"),
        (&[(0, Begins), (10, Succeeds), (5_000, Announced)],           Some(100),    "news is looked up at once"),
        (&[(0, Begins), (10, Succeeds), (20, Announced)],              Some(100),    "but ten times a second at most"),
        (&[(0, Begins), (5, Announced), (10, Succeeds)],               Some(100),    "news that came while one ran"),
        (&[(0, Begins), (10, Fails), (20, Announced)],                 Some(100),    "news ends the wait after a failure"),
        (&[(0, Begins), (10, Succeeds), (20, Asked), (30, Announced)], Some(100),    "the earlier one counts"),
        (&[(0, Announced)],                                            Some(0),      "nothing is sooner than the first"),
    ];
    for (events, due, why) in cases {
        assert_eq!(due_after(events), *due, "{events:?}: {why}");
    }
}

#[test]
fn p200_no_delay_is_too_long_for_the_clock() {
    let now = Instant::now();
    let mut clock = ResolveClock::new(now);
    clock.begin(now);
    clock.fail(now, |_| Duration::MAX);
    assert!(clock.due_at().unwrap() > now + Duration::from_secs(300 * 24 * 60 * 60));
}
