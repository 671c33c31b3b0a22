//! What a process has used, and how long calls took.

use std::fs;
use std::time::Duration;

use crate::Fault;

/// CPU time and memory of a process, as Linux tells them.
#[derive(Clone, Copy, Default)]
pub struct Figures {
    /// Of all threads, exact.
    cpu: Duration,
    /// Ticks of the clock that fell into the program, and into the kernel: these are sampled.
    user_ticks: u64,
    system_ticks: u64,
    /// Memory that is resident now, and the most that ever was.
    resident: u64,
    peak: u64,
}

impl Figures {
    /// Of the process with this id, or "self".
    pub fn of(process: &str) -> Result<Self, Fault> {
        let folder = format!("/proc/{process}");
        let mut nanoseconds = 0;
        for task in fs::read_dir(format!("{folder}/task"))? {
            // A thread that ends meanwhile is not looked for.
            if let Ok(text) = fs::read_to_string(task?.path().join("schedstat")) {
                nanoseconds += number(text.split_whitespace().next())?;
            }
        }
        let stat = fs::read_to_string(format!("{folder}/stat"))?;
        let (_, fields) = stat.rsplit_once(')').ok_or("/proc/PID/stat has no name")?;
        let mut fields = fields.split_whitespace().skip(11);
        let status = fs::read_to_string(format!("{folder}/status"))?;
        Ok(Self {
            cpu: Duration::from_nanos(nanoseconds),
            user_ticks: number(fields.next())?,
            system_ticks: number(fields.next())?,
            resident: kibibytes(&status, "VmRSS:")?,
            peak: kibibytes(&status, "VmHWM:")?,
        })
    }

    /// CPU time since `before`: in the program, and in the kernel.
    pub fn since(&self, before: &Self) -> (Duration, Duration) {
        let cpu = self.cpu.saturating_sub(before.cpu);
        let user = self.user_ticks.saturating_sub(before.user_ticks);
        let system = self.system_ticks.saturating_sub(before.system_ticks);
        let ticks = u32::try_from(user + system).unwrap_or(u32::MAX).max(1);
        let in_kernel = cpu * u32::try_from(system).unwrap_or(u32::MAX) / ticks;
        (cpu - in_kernel, in_kernel)
    }
}

fn kibibytes(status: &str, name: &str) -> Result<u64, Fault> {
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    number(line.and_then(|line| line.split_whitespace().next()))
}

fn number(text: Option<&str>) -> Result<u64, Fault> {
    Ok(text.ok_or("/proc says less than expected")?.parse()?)
}

/// How long each call took.
#[derive(Default)]
pub struct Latencies(Vec<Duration>);

impl Latencies {
    pub fn add(&mut self, latency: Duration) {
        self.0.push(latency);
    }

    pub fn append(&mut self, mut others: Self) {
        self.0.append(&mut others.0);
    }

    /// What so many per cent of the calls did not exceed, in nanoseconds.
    fn percentile(&mut self, percent: usize) -> u128 {
        self.0.sort_unstable();
        let place = (self.0.len() * percent / 100).min(self.0.len().saturating_sub(1));
        self.0.get(place).map_or(0, Duration::as_nanos)
    }
}

/// What a run of calls has cost.
pub struct Report {
    pub calls: u64,
    pub elapsed: Duration,
    pub before: Figures,
    pub after: Figures,
    pub latencies: Latencies,
}

impl Report {
    /// One line of JSON.
    pub fn print(mut self) {
        let (user, system) = self.after.since(&self.before);
        println!(
            "{{\"calls\": {}, \"elapsed_ns\": {}, \"user_ns\": {}, \"system_ns\": {}, \
             \"p50_ns\": {}, \"p99_ns\": {}, \"kib_before\": {}, \"kib_after\": {}, \"kib_peak\": {}}}",
            self.calls,
            self.elapsed.as_nanos(),
            user.as_nanos(),
            system.as_nanos(),
            self.latencies.percentile(50),
            self.latencies.percentile(99),
            self.before.resident,
            self.after.resident,
            self.after.peak,
        );
    }
}
