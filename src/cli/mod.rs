//! Layer 6: the `barewire` command.
//!
//! | file | what it does |
//! |---|---|
//! | `serve.rs` | `barewire serve`: its flags, and from start to drain |
//! | `interop.rs` | `barewire interop`: the interop tests, of either side |
//! | `listen.rs` | addresses to sockets |
//! | `tls_files.rs` | certificate and key files to TLS of either side, and again when they were renewed |
//! | `signals.rs` | what the system tells the server to do |
//! | `log.rs` | a line for each call |
//! | `messages.rs` | what went wrong, why, and what to try |
//!
//! Standard output tells what the server does, standard error is for the log and for the one sentence
//! that says why the server could not start. Neither is ever in its way: what nobody reads, what no
//! disk takes, is left out.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand};

mod interop;
mod listen;
mod log;
pub mod messages;
mod serve;
#[cfg(unix)]
mod signals;
#[cfg(not(unix))]
#[path = "signals_elsewhere.rs"]
mod signals;
mod tls_files;

/// gRPC on the bare wire.
#[derive(Parser)]
#[command(name = "barewire", version)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the services of the gRPC tutorials, with health and reflection.
    Serve(serve::ServeOptions),
    /// Run the interop tests of gRPC, with other implementations of it or among ourselves.
    #[command(subcommand)]
    Interop(interop::InteropCommand),
}

/// Does what the command line says.
pub fn run() -> ExitCode {
    match Cli::try_parse() {
        Ok(Cli {
            command: Some(Command::Serve(options)),
        }) => serve::run(&options),
        Ok(Cli {
            command: Some(Command::Interop(command)),
        }) => interop::run(&command),
        Ok(Cli { command: None }) => {
            say(&Cli::command().render_help().to_string());
            ExitCode::SUCCESS
        }
        // Help and version come as errors that are none. So does help for a command that has commands.
        Err(error)
            if !error.use_stderr()
                || error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand =>
        {
            say(&error.render().to_string());
            ExitCode::SUCCESS
        }
        Err(error) => {
            let rendered = error.render().to_string();
            complain(&messages::usage_error(&rendered, &asked_command()));
            ExitCode::from(2)
        }
    }
}

/// The command that the command line begins with, as far as there is one: `barewire interop client`.
fn asked_command() -> String {
    let mut name = "barewire".to_owned();
    let mut command = Cli::command();
    for word in std::env::args().skip(1) {
        let Some(next) = command.find_subcommand(&word) else {
            break;
        };
        name = format!("{name} {word}");
        command = next.clone();
    }
    name
}

/// Writes to standard output. Whoever no longer listens there is no reason to stop.
fn say(text: &str) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{}", text.trim_end()).and_then(|()| out.flush());
}

/// Writes to standard error why the command ends.
fn complain(sentence: &str) {
    let _ = writeln!(io::stderr().lock(), "error: {sentence}");
}
