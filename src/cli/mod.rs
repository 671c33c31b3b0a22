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
//! | `tutorial.rs` | `barewire tutorial`: what the tutorials' own clients do |
//! | `options.rs` | flags that all commands share which call a server |
//! | `messages.rs` | what went wrong, why, and what to try |
//!
//! Standard output tells what a server does and what a client hears. Standard error is for the log, and
//! for the one sentence that says why a command failed. Neither is ever in a server's way: what nobody
//! reads, what no disk takes, is left out.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand};

mod interop;
mod listen;
mod log;
pub mod messages;
mod options;
mod serve;
#[cfg(unix)]
mod signals;
#[cfg(not(unix))]
#[path = "signals_elsewhere.rs"]
mod signals;
mod tls_files;
mod tutorial;

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
    /// Do what the clients of the gRPC tutorials do.
    #[command(
        subcommand,
        subcommand_value_name = "NAME",
        subcommand_help_heading = "Names"
    )]
    Tutorial(tutorial::Tutorial),
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
        Ok(Cli {
            command: Some(Command::Tutorial(tutorial)),
        }) => tutorial::run(&tutorial),
        Ok(Cli { command: None }) => {
            say(&Cli::command().render_help().to_string());
            ExitCode::SUCCESS
        }
        // Help and version come as errors that are none, and so does help for who names only half of
        // a command.
        Err(error)
            if !error.use_stderr()
                || error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand =>
        {
            say(&error.render().to_string());
            ExitCode::SUCCESS
        }
        Err(error) => {
            complain(&explain(&error));
            ExitCode::from(2)
        }
    }
}

/// What is wrong with the command line, and whose help tells more.
fn explain(error: &clap::Error) -> String {
    let mut command = Cli::command();
    let mut words = command.get_name().to_owned();
    for argument in std::env::args_os().skip(1) {
        let Some(next) = command.find_subcommand(argument).cloned() else {
            break;
        };
        words = format!("{words} {}", next.get_name());
        command = next;
    }
    let mut names = Vec::new();
    if error.kind() == ErrorKind::InvalidSubcommand {
        names.extend(command.get_subcommands().map(clap::Command::get_name));
    }
    messages::usage_error(&error.render().to_string(), &words, &names)
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
