//! A line for each call, and for what the server has to warn of.
//!
//! ```text
//! /helloworld.Greeter/SayHello OK 0.412 ms in 1 msg 10 B out 1 msg 18 B from 127.0.0.1:43210
//! {"method":"/helloworld.Greeter/SayHello","code":"OK","duration_ms":0.412,"messages_in":1,…}
//! ```
//!
//! Calls only put their lines into a buffer; a thread writes them to standard error. So a call never
//! waits for a terminal that is stopped or a pipe that nobody empties. Lines that find the buffer full
//! are left out, and the log says how many. What cannot be written is left out too.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use clap::ValueEnum;
use serde::Serialize;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::{CallRecord, Server};

/// How a line of the log looks.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum LogFormat {
    /// For people.
    Text,
    /// For programs: an object on each line.
    Json,
    /// No lines at all.
    None,
}

/// The log. Clones write into the same one.
#[derive(Clone)]
pub(super) struct Log {
    format: LogFormat,
    lines: Arc<Lines>,
}

impl Log {
    /// Begins to log. The thread that writes lives as long as the process.
    pub(super) fn start(format: LogFormat) -> Self {
        let log = Self {
            format,
            lines: Arc::default(),
        };
        let lines = Arc::clone(&log.lines);
        let writes = move || lines.write_for_ever(format);
        if !matches!(format, LogFormat::None)
            && thread::Builder::new()
                .name("log".to_owned())
                .spawn(writes)
                .is_ok()
        {
            log.take_warnings();
        }
        log
    }

    /// Logs each call of `server`.
    pub(super) fn watch(&self, server: Server) -> Server {
        let lines = Arc::clone(&self.lines);
        match self.format {
            LogFormat::Text => server.intercept(move |call: &CallRecord<'_>| {
                lines.push(&format_text(call));
            }),
            LogFormat::Json => server.intercept(move |call: &CallRecord<'_>| {
                lines.push(&format_json(call));
            }),
            LogFormat::None => server,
        }
    }

    /// Waits until all lines are written, but not longer than `limit`.
    pub(super) fn flush(&self, limit: Duration) {
        self.lines.flush(limit);
    }

    /// Takes what the library warns of, besides calls.
    fn take_warnings(&self) {
        let warnings = tracing_subscriber::fmt()
            .with_writer(self.clone())
            .with_max_level(LevelFilter::WARN)
            .with_ansi(false)
            .with_target(false)
            .without_time();
        // An error would say that someone else takes them already.
        let _ = match self.format {
            LogFormat::Json => tracing::subscriber::set_global_default(warnings.json().finish()),
            LogFormat::Text | LogFormat::None => {
                tracing::subscriber::set_global_default(warnings.finish())
            }
        };
    }
}

fn format_text(call: &CallRecord<'_>) -> String {
    let mut line = String::new();
    // Of what a terminal is shown, a client must not choose the control characters.
    for letter in call.path.as_str().chars() {
        if letter.is_control() {
            line.extend(letter.escape_default());
        } else {
            line.push(letter);
        }
    }
    // Writing to a string does not fail.
    let _ = writeln!(
        line,
        " {} {:.3} ms in {} msg {} B out {} msg {} B from {}",
        code(call),
        milliseconds(call),
        call.messages_received,
        call.bytes_received,
        call.messages_sent,
        call.bytes_sent,
        peer(call),
    );
    line
}

fn format_json(call: &CallRecord<'_>) -> String {
    #[derive(Serialize)]
    struct Line<'a> {
        method: &'a str,
        code: &'a str,
        duration_ms: f64,
        messages_in: u64,
        bytes_in: u64,
        messages_out: u64,
        bytes_out: u64,
        peer: String,
    }
    let line = serde_json::to_string(&Line {
        method: call.path.as_str(),
        code: code(call),
        duration_ms: milliseconds(call),
        messages_in: call.messages_received,
        bytes_in: call.bytes_received,
        messages_out: call.messages_sent,
        bytes_out: call.bytes_sent,
        peer: peer(call),
    });
    // Strings and numbers can all be written.
    line.map(|line| line + "\n").unwrap_or_default()
}

fn code(call: &CallRecord<'_>) -> &'static str {
    match call.outcome {
        Ok(()) => "OK",
        Err(status) => status.code.name(),
    }
}

fn peer(call: &CallRecord<'_>) -> String {
    // Of a call that is served it is known who makes it.
    call.peer.map(ToString::to_string).unwrap_or_default()
}

/// To the microsecond.
fn milliseconds(call: &CallRecord<'_>) -> f64 {
    (call.duration.as_secs_f64() * 1e6).round() / 1e3
}

/// Lines on their way to standard error.
#[derive(Default)]
struct Lines {
    buffer: Mutex<Buffer>,
    changed: Condvar,
}

#[derive(Default)]
struct Buffer {
    waiting: String,
    /// Lines for which there was no room.
    lost: u64,
    /// The thread is writing what it took.
    writing: bool,
}

impl Lines {
    fn push(&self, line: &str) {
        let mut buffer = self.lock();
        if buffer.waiting.len() + line.len() > BUFFER_LIMIT {
            buffer.lost += 1;
        } else {
            buffer.waiting.push_str(line);
        }
        self.changed.notify_all();
    }

    fn write_for_ever(&self, format: LogFormat) {
        loop {
            let (mut text, lost) = self.take();
            if lost > 0 {
                text.push_str(&match format {
                    LogFormat::Json => format!("{{\"lost_lines\":{lost}}}\n"),
                    LogFormat::Text | LogFormat::None => {
                        format!("({lost} lines left out: they came faster than they were read)\n")
                    }
                });
            }
            // A full disk, or nobody there: the server goes on.
            let _ = io::stderr().lock().write_all(text.as_bytes());
            self.lock().writing = false;
            self.changed.notify_all();
        }
    }

    /// Waits for lines.
    fn take(&self) -> (String, u64) {
        let mut buffer = self.lock();
        while buffer.waiting.is_empty() && buffer.lost == 0 {
            buffer = self
                .changed
                .wait(buffer)
                .unwrap_or_else(PoisonError::into_inner);
        }
        buffer.writing = true;
        let lost = std::mem::take(&mut buffer.lost);
        (std::mem::take(&mut buffer.waiting), lost)
    }

    fn flush(&self, limit: Duration) {
        let unwritten =
            |buffer: &mut Buffer| buffer.writing || !buffer.waiting.is_empty() || buffer.lost > 0;
        // Whether time has run out is all the same: there is nothing more to be done.
        drop(
            self.changed
                .wait_timeout_while(self.lock(), limit, unwritten),
        );
    }

    fn lock(&self) -> MutexGuard<'_, Buffer> {
        self.buffer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Some ten thousand lines.
const BUFFER_LIMIT: usize = 1024 * 1024;

// A warning comes as one piece.
impl Write for Log {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.lines.push(&String::from_utf8_lossy(line));
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}
