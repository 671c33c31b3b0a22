//! `transport::rate`, compiled once more, since it is no part of the public API: what a bucket of tokens
//! lets pass at which time.

use std::time::Duration;

use tokio::time::Instant;

use bucket::{Bucket, Rate};

#[path = "../../src/transport/rate.rs"]
mod bucket;

fn rate(burst: u32, per_second: u32) -> Rate {
    Rate { burst, per_second }
}

/// How many are let through at once.
fn drain(bucket: &mut Bucket, now: Instant) -> u32 {
    (0..).find(|_| !bucket.take(now)).unwrap()
}

#[test]
#[rustfmt::skip]
fn a_burst_passes_once_however_long_it_was_quiet_and_then_one_after_the_other() {
    let (ms, us) = (Duration::from_millis, Duration::from_micros);
    let cases = [
        // rate             quiet for          used    quiet for          until one more
        (rate(100, 10),     Duration::ZERO,    0,      Duration::ZERO,    ms(100)),
        (rate(100, 10),     ms(3_600_000),     0,      Duration::ZERO,    ms(100)),
        (rate(100, 10),     us(1_000_999),     0,      Duration::ZERO,    ms(100)),     // no part of a millisecond is a gift
        (rate(100, 10),     ms(3_600_000),     1,      ms(3_600_000),     ms(100)),
        (rate(100, 10),     ms(3_600_000),     99,     ms(3_600_000),     ms(100)),
        (rate(100, 10),     ms(3_600_000),     100,    ms(3_600_000),     ms(100)),
        (rate(100, 10),     Duration::ZERO,    100,    ms(10_000),        ms(100)),     // what was used comes back
        (rate(1_000, 100),  ms(3_600_000),     500,    ms(5_000),         ms(10)),
        (rate(10, 1_000),   ms(3_600_000),     3,      ms(3),             ms(1)),
        (rate(5, 1),        ms(3_600_000),     5,      ms(5_000),         ms(1_000)),
        (rate(1, 1),        ms(86_400_000),    1,      ms(1_000),         ms(1_000)),
        (rate(1, 3),        ms(86_400_000),    0,      Duration::ZERO,    ms(334)),     // a third, in whole milliseconds
    ];
    for (rate, first, used, second, step) in cases {
        let start = Instant::now();
        let mut bucket = Bucket::new(rate, start);
        let mut now = start + first;
        for _ in 0..used {
            assert!(bucket.take(now), "{rate:?}, {used}");
        }
        now += second;
        let what = format!("{rate:?}, {used} after {first:?}, all after {second:?}");
        assert_eq!(drain(&mut bucket, now), rate.burst, "{what}");
        for number in 0..2 {
            assert!(!bucket.take(now + step - us(1_001)), "{what}: {number} too early");
            now += step;
            assert_eq!(drain(&mut bucket, now), 1, "{what}: {number}");
        }
    }
}

#[test]
fn a_part_of_a_burst_comes_back_in_part() {
    let now = Instant::now();
    let mut bucket = Bucket::new(rate(100, 10), now);
    assert_eq!(drain(&mut bucket, now), 100);
    let now = now + Duration::from_millis(2_599);
    assert_eq!(drain(&mut bucket, now), 25);
    // And the rest of the 26th.
    assert_eq!(drain(&mut bucket, now + Duration::from_millis(1)), 1);
}

#[test]
fn takes_in_quick_succession_lose_no_fraction() {
    for per_second in [1, 3, 7, 10, 1_000] {
        for pause in [1, 333, 400, 999, 1_001, 1_700] {
            let start = Instant::now();
            let mut bucket = Bucket::new(rate(5, per_second), start);
            assert_eq!(drain(&mut bucket, start), 5);
            let end = start + Duration::from_secs(2);
            let (mut now, mut passed) = (start, 0);
            while now < end {
                now = end.min(now + Duration::from_micros(pause));
                passed += drain(&mut bucket, now);
            }
            assert_eq!(passed, 2 * per_second, "each {pause} µs");
        }
    }
}

#[test]
fn without_a_rate_nothing_comes_back_and_without_a_burst_nothing_passes() {
    let start = Instant::now();
    let later = start + Duration::from_secs(1_000_000);
    let mut bucket = Bucket::new(rate(3, 0), start);
    assert_eq!(drain(&mut bucket, later), 3);
    assert_eq!(drain(&mut bucket, later + Duration::from_secs(1)), 0);
    let mut bucket = Bucket::new(rate(0, 1_000), start);
    assert_eq!(drain(&mut bucket, later), 0);
    let most = rate(u32::MAX, u32::MAX);
    let mut bucket = Bucket::new(most, start);
    assert!(bucket.take(later));
}

// Times come from reads, and cancellations from other threads: one may be older than the last.
#[test]
fn a_time_that_has_passed_gives_nothing() {
    let start = Instant::now();
    let later = start + Duration::from_secs(60);
    let mut bucket = Bucket::new(rate(10, 1), start);
    assert_eq!(drain(&mut bucket, later), 10);
    assert_eq!(drain(&mut bucket, start), 0);
    assert_eq!(drain(&mut bucket, later + Duration::from_secs(1)), 1);
}
