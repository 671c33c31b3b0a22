//! The cases that take long: the same large call, again and again.
//!
//! Spec: gRPC-Interop (rpc_soak, channel_soak).

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::client::{Failure, Run, is_zeros, succeeded, zeros};
use super::proto::testing::{SimpleRequest, TestServiceClient};

/// How the cases go that take long.
#[derive(Clone, Debug)]
pub struct SoakOptions {
    /// How many calls to make. Default 10.
    pub iterations: u32,
    /// How many of them may fail. Default 0.
    pub max_failures: u32,
    /// A call that takes longer has failed. Default 1 s.
    pub per_iteration_max_acceptable_latency: Duration,
    /// How long all calls may take together. Default 10 s.
    pub overall_timeout: Duration,
    /// From the start of a call to the start of the next, at the least. Default 0.
    pub min_time_between_rpcs: Duration,
    /// Bytes of payload in a request. Default 271,828.
    pub request_size: u32,
    /// Bytes of payload in a response. Default 314,159.
    pub response_size: u32,
    /// How many calls to make side by side, of which the iterations are a multiple. Default 1.
    pub num_threads: u32,
    /// What is told a line for each call, and one at the end.
    pub say: fn(&str),
}

impl Default for SoakOptions {
    fn default() -> Self {
        Self {
            iterations: 10,
            max_failures: 0,
            per_iteration_max_acceptable_latency: Duration::from_secs(1),
            overall_timeout: Duration::from_secs(10),
            min_time_between_rpcs: Duration::ZERO,
            request_size: 271_828,
            response_size: 314_159,
            num_threads: 1,
            say: |_| {},
        }
    }
}

pub(super) async fn rpc_soak(run: &Run) -> Result<(), Failure> {
    soak(run, Channels::One).await
}

pub(super) async fn channel_soak(run: &Run) -> Result<(), Failure> {
    soak(run, Channels::OnePerCall).await
}

#[derive(Clone, Copy)]
enum Channels {
    One,
    OnePerCall,
}

async fn soak(run: &Run, channels: Channels) -> Result<(), Failure> {
    let options = &run.client.soak;
    let SoakOptions {
        iterations,
        num_threads: threads,
        overall_timeout,
        ..
    } = *options;
    if threads == 0 || iterations % threads != 0 {
        return Err(Failure::new(
            "soak_iterations to be a multiple of soak_num_threads",
            format!("{iterations} and {threads}"),
        ));
    }
    let end = Instant::now() + overall_timeout;
    // The workers end with the set, and at the latest when the time is over.
    let mut workers = JoinSet::new();
    for number in 0..threads {
        let worker = Worker {
            number,
            run: run.clone(),
            channels,
        };
        workers.spawn(worker.work(iterations / threads, end));
    }
    let mut tally = Tally::default();
    for worker in workers.join_all().await {
        tally.failures += worker.failures;
        tally.latencies.extend(worker.latencies);
    }
    (options.say)(&tally.summary(iterations));
    tally.judge(options)
}

/// Makes calls one after the other.
struct Worker {
    number: u32,
    run: Run,
    channels: Channels,
}

impl Worker {
    async fn work(self, iterations: u32, end: Instant) -> Tally {
        let options = &self.run.client.soak;
        let mut tally = Tally::default();
        for iteration in 0..iterations {
            let start = Instant::now();
            let Ok(outcome) = timeout_at(end, self.call()).await else {
                break;
            };
            let latency = start.elapsed();
            let outcome = outcome.and_then(|()| is_quick(latency, options));
            self.report(iteration, latency, &outcome);
            match outcome {
                Ok(()) => tally.latencies.push(latency),
                Err(_) => tally.failures += 1,
            }
            sleep_until(end.min(start + options.min_time_between_rpcs)).await;
        }
        tally
    }

    async fn call(&self) -> Result<(), Failure> {
        let SoakOptions {
            request_size,
            response_size,
            ..
        } = self.run.client.soak;
        let message = SimpleRequest {
            response_size: i32::try_from(response_size).unwrap_or(i32::MAX),
            payload: Some(zeros(usize::try_from(request_size).unwrap_or(usize::MAX))),
            ..SimpleRequest::default()
        };
        let expected = message.response_size;
        let service = match self.channels {
            Channels::One => self.run.service.clone(),
            Channels::OnePerCall => {
                TestServiceClient::new(succeeded("a channel", (self.run.client.connect)())?)
            }
        };
        let response = service.unary_call(self.run.request(message)).await;
        is_zeros(
            succeeded("UnaryCall", response)?.message.payload.as_ref(),
            expected,
        )
    }

    // The document has tools look for lines of just this form.
    fn report(&self, iteration: u32, latency: Duration, outcome: &Result<(), Failure>) {
        let (number, server) = (self.number, &self.run.client.server);
        let elapsed = latency.as_millis();
        let line = format!(
            "thread id: {number} soak iteration: {iteration} elapsed_ms: {elapsed} peer: {server}"
        );
        (self.run.client.soak.say)(&match outcome {
            Ok(()) => format!("{line} succeeded"),
            Err(failure) => format!("{line} failed: {failure}"),
        });
    }
}

fn is_quick(latency: Duration, options: &SoakOptions) -> Result<(), Failure> {
    let limit = options.per_iteration_max_acceptable_latency;
    if latency > limit {
        return Err(Failure::new(
            format!("an end within {limit:?}"),
            format!("{latency:?}"),
        ));
    }
    Ok(())
}

/// What became of the calls.
#[derive(Default)]
struct Tally {
    /// Of those that went well.
    latencies: Vec<Duration>,
    failures: u32,
}

impl Tally {
    fn successes(&self) -> u32 {
        u32::try_from(self.latencies.len()).unwrap_or(u32::MAX)
    }

    fn summary(&mut self, iterations: u32) -> String {
        self.latencies.sort_unstable();
        let (successes, failures) = (self.successes(), self.failures);
        let [median, p90, worst] =
            [50, 90, 100].map(|percent| self.percentile(percent).as_millis());
        format!(
            "soak test successes: {successes} / {iterations} iterations, total failures: {failures}, \
             latency in ms: median {median}, p90 {p90}, worst {worst}"
        )
    }

    /// The latency that so many of a hundred calls did not exceed.
    fn percentile(&self, percent: usize) -> Duration {
        let rank = (self.latencies.len() * percent).div_ceil(100);
        let latency = rank
            .checked_sub(1)
            .and_then(|index| self.latencies.get(index));
        latency.copied().unwrap_or_default()
    }

    fn judge(&self, options: &SoakOptions) -> Result<(), Failure> {
        let ran = self.successes().saturating_add(self.failures);
        if ran < options.iterations {
            return Err(Failure::new(
                format!(
                    "{} calls within {:?}",
                    options.iterations, options.overall_timeout
                ),
                ran.to_string(),
            ));
        }
        if self.failures > options.max_failures {
            return Err(Failure::new(
                format!("at most {} calls to fail", options.max_failures),
                self.failures.to_string(),
            ));
        }
        Ok(())
    }
}
