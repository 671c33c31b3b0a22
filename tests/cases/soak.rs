//! The cases that take long, when all does not go well.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use barewire::Channel;
use barewire::interop::{Failure, SoakOptions, TestClient};

use crate::support::{client, client_of, pipe, run};
use crate::tokio;

fn text(outcome: Result<(), Failure>) -> String {
    match outcome {
        Ok(()) => "passed".to_owned(),
        Err(failure) => failure.to_string(),
    }
}

#[tokio::test(start_paused = true)]
#[rustfmt::skip]
async fn a_soak_fails_by_its_limits() {
    let second = Duration::from_secs(1);
    let default = SoakOptions::default();
    let cases = [
        (default.clone(),                                                       "passed"),
        (SoakOptions { num_threads: 5, ..default.clone() },                     "passed"),
        (SoakOptions { num_threads: 3, ..default.clone() },                     "expected soak_iterations to be a multiple of soak_num_threads; came 10 and 3"),
        (SoakOptions { num_threads: 0, ..default.clone() },                     "expected soak_iterations to be a multiple of soak_num_threads; came 10 and 0"),
        (SoakOptions { min_time_between_rpcs: 2 * second, ..default.clone() },  "expected 10 calls within 10s; came 5"),
        (SoakOptions { response_size: u32::MAX, ..default.clone() },            "expected at most 0 calls to fail; came 10"),
        (SoakOptions { response_size: u32::MAX, max_failures: 10, ..default },  "passed"),
    ];
    for (soak, outcome) in cases {
        let client = TestClient { soak: soak.clone(), ..client() };
        for case in ["rpc_soak", "channel_soak"] {
            assert_eq!(text(run(&client, case).await), outcome, "{case} {soak:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn channel_soak_takes_a_new_channel_each_time() {
    for (case, expected) in [("rpc_soak", 1), ("channel_soak", 11)] {
        let channels = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&channels);
        let client = client_of(move || {
            counted.fetch_add(1, Ordering::SeqCst);
            Channel::over(pipe())
        });
        assert_eq!(text(run(&client, case).await), "passed");
        assert_eq!(channels.load(Ordering::SeqCst), expected, "{case}");
    }
}
