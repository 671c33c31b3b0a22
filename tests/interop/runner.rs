//! The Python processes that run scenarios, each told one at a time.
//!
//! ```text
//!  → {"module": "greeter", "function": "say_hello", "limit": 30, "target": {"address": …, …}}
//!  ← {"error": null}
//! ```
//!
//! A process serves many scenarios, since to start Python and to import grpcio takes longer than
//! most of them. One that crashes or hangs fails its scenario and is replaced.

use std::mem;
use std::process::Command;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use crate::environment::Environment;
use crate::process::{Process, Silence};
use crate::scenarios::{Scenario, python_folder};

/// A few Python processes, started when they are first needed.
pub(crate) struct Runners {
    idle: Mutex<Vec<Option<Process>>>,
    returned: Condvar,
}

impl Runners {
    /// As many as a small machine keeps busy. With a proxy between, more of them wait for each other.
    pub(crate) fn new(is_proxied: bool) -> Self {
        let count = if is_proxied { 2 * RUNNERS } else { RUNNERS };
        Self {
            idle: Mutex::new((0..count).map(|_| None).collect()),
            returned: Condvar::new(),
        }
    }

    /// Runs a scenario in the next process that is free. An error is what the scenario says.
    pub(crate) fn run(
        &self,
        environment: &Environment,
        scenario: &Scenario,
        target: &Value,
    ) -> Result<(), String> {
        let mut slot = self.take();
        let outcome = match slot.take().map_or_else(|| start(environment), Ok) {
            Err(problem) => Err(problem),
            Ok(mut process) => {
                let answer = ask(&mut process, scenario, target);
                // Only a process that answered is known to be in order.
                answer
                    .inspect(|_| slot = Some(process))
                    .and_then(|error| error.map_or(Ok(()), Err))
            }
        };
        self.put_back(slot);
        outcome
    }

    /// Ends the processes.
    pub(crate) fn stop(&self) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let mut processes: Vec<Process> = mem::take(&mut *idle).into_iter().flatten().collect();
        processes.iter_mut().for_each(Process::hang_up);
        for process in &mut processes {
            process.exit_status(Duration::from_secs(5));
        }
    }

    fn take(&self) -> Option<Process> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let mut idle = self
            .returned
            .wait_while(idle, |idle| idle.is_empty())
            .unwrap_or_else(PoisonError::into_inner);
        idle.pop().flatten()
    }

    fn put_back(&self, slot: Option<Process>) {
        self.idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(slot);
        self.returned.notify_one();
    }
}

fn start(environment: &Environment) -> Result<Process, String> {
    let mut command = Command::new(&environment.python);
    command
        .arg(python_folder().join("runner.py"))
        .env("PYTHONPATH", &environment.stubs)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        // Scenarios start servers of their own; grpcio need not prepare itself for being forked.
        .env("GRPC_ENABLE_FORK_SUPPORT", "0");
    // grpcio would look for the way to 127.0.0.1 at a proxy.
    for name in [
        "http_proxy",
        "https_proxy",
        "grpc_proxy",
        "HTTP_PROXY",
        "HTTPS_PROXY",
    ] {
        command.env_remove(name);
    }
    Process::start(&mut command)
        .map_err(|error| format!("cannot start {}: {error}", environment.python.display()))
}

/// Has the scenario run. The inner text is its complaint, the error that of the process.
fn ask(
    process: &mut Process,
    scenario: &Scenario,
    target: &Value,
) -> Result<Option<String>, String> {
    let question = json!({
        "module": scenario.module,
        "function": scenario.function,
        "limit": scenario.limit.as_secs(),
        "target": target,
    });
    // If it cannot be told, its output has ended too, and that says more.
    let _ = process.say(&question.to_string());
    let answer = process
        .next_line(scenario.limit)
        .map_err(|silence| match silence {
            Silence::Ended => {
                let status = process.exit_status(Duration::from_secs(5));
                let end = status.map_or_else(
                    || "closed its output".to_owned(),
                    |status| format!("ended with {status}"),
                );
                format!("the Python process {end}; {}", process.last_words())
            }
            Silence::TimedOut => {
                format!(
                    "not done after {} s; the Python process was killed; {}",
                    scenario.limit.as_secs(),
                    process.last_words()
                )
            }
        })?;
    let answer: Value =
        serde_json::from_str(&answer).map_err(|error| format!("answer {answer:?}: {error}"))?;
    Ok(answer["error"].as_str().map(str::to_owned))
}

// Two keep a small machine busy. More would only measure how well it shares itself.
const RUNNERS: usize = 2;
