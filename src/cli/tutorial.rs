//! `barewire tutorial`: what the tutorials' own clients do.

use std::io;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use tokio::sync::oneshot;

use super::complain;
use super::messages::{CallError, StartError};
use super::options::ChannelOptions;
use super::signals::{Hangup, Signal, Signals};
use crate::Channel;
use crate::tutorial::clients::{self, WalkError};

/// Whose client to be. The flags for the server stand last: what came after them would be listed with
/// those of TLS.
#[derive(Subcommand)]
#[command(disable_help_subcommand = true)]
pub(super) enum Tutorial {
    /// Be greeted, as in gRPC's quick start: helloworld.Greeter
    Greeter {
        /// Whom to greet
        #[arg(long, value_name = "TEXT", default_value = "you")]
        name: String,
        /// Make the calls of longer tutorials too: SayHello2, SayHelloStreamReply and
        /// SayHelloBidiStream
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        server: Callee,
    },
    /// Be greeted ten times, twice: hellostreamingworld.MultiGreeter
    MultiGreeter {
        /// Whom to greet
        #[arg(long, value_name = "TEXT", default_value = "you")]
        name: String,
        #[command(flatten)]
        server: Callee,
    },
    /// Be greeted once: greet.Greeter
    Greet {
        /// Whom to greet
        #[arg(long, value_name = "TEXT", default_value = "world")]
        name: String,
        #[command(flatten)]
        server: Callee,
    },
    /// Hear ten numbers: number_stream.NumberService
    #[command(mut_arg("address", |address| address.default_value("localhost:50052")))]
    Numbers {
        #[command(flatten)]
        server: Callee,
    },
    /// Have five numbers added: sum_stream.SumService
    #[command(mut_arg("address", |address| address.default_value("localhost:50053")))]
    Sums {
        #[command(flatten)]
        server: Callee,
    },
    /// Say three things, and hear what comes back: chat.ChatService
    #[command(mut_arg("address", |address| address.default_value("localhost:50054")))]
    Chat {
        #[command(flatten)]
        server: Callee,
    },
    /// Ask for places, list them, visit some, leave notes: routeguide.RouteGuide
    RouteGuide {
        #[command(flatten)]
        server: Callee,
    },
    /// The same with other answers: hello.Hello
    Hello {
        #[command(flatten)]
        server: Callee,
    },
    /// Report, and take tasks until Ctrl-C: Contact
    Contact {
        /// How many tasks to take before leaving [default: all that come]
        #[arg(long, value_name = "NUMBER")]
        count: Option<u64>,
        #[command(flatten)]
        server: Callee,
    },
}

/// Where the server is, and how to call it.
#[derive(Args)]
pub(super) struct Callee {
    /// Where the server is: HOST:PORT, or any target of gRPC, such as https://HOST:PORT or unix:PATH
    #[arg(value_name = "ADDR", default_value = "localhost:50051")]
    address: String,

    #[command(flatten)]
    channel: ChannelOptions,
}

/// Does what the tutorial's client does.
pub(super) fn run(tutorial: &Tutorial) -> ExitCode {
    let outcome = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|why| system("start", why))
        .and_then(|runtime| {
            let outcome = runtime.block_on(walk(tutorial));
            // Nothing is left to wait for but, perhaps, a name that is being looked up.
            runtime.shutdown_background();
            outcome
        });
    match outcome {
        // Whoever no longer listens has heard enough.
        Ok(()) => ExitCode::SUCCESS,
        Err(CallError::Print(why)) if why.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

async fn walk(tutorial: &Tutorial) -> Result<(), CallError> {
    let out = &mut io::stdout();
    match tutorial {
        Tutorial::Greeter { server, name, all } => {
            let channel = server.channel()?;
            server.told(clients::greeter(channel.clone(), out, name).await)?;
            if *all {
                server.told(clients::greeter_in_full(channel, out, name).await)?;
            }
            Ok(())
        }
        Tutorial::MultiGreeter { server, name } => {
            server.told(clients::multi_greeter(server.channel()?, out, name).await)
        }
        Tutorial::Greet { server, name } => {
            server.told(clients::greet(server.channel()?, out, name).await)
        }
        Tutorial::Numbers { server } => server.told(clients::numbers(server.channel()?, out).await),
        Tutorial::Sums { server } => server.told(clients::sums(server.channel()?, out).await),
        Tutorial::Chat { server } => server.told(clients::chat(server.channel()?, out).await),
        Tutorial::RouteGuide { server } => {
            server.told(clients::route_guide(server.channel()?, out).await)
        }
        Tutorial::Hello { server } => server.told(clients::hello(server.channel()?, out).await),
        Tutorial::Contact { server, count } => {
            let leave = leave()?;
            server.told(clients::contact(server.channel()?, out, *count, leave).await)
        }
    }
}

impl Callee {
    fn channel(&self) -> Result<Channel, CallError> {
        self.channel.open(&self.address)
    }

    /// What a walk came to, with the address of whom it was to.
    fn told(&self, walk: Result<(), WalkError>) -> Result<(), CallError> {
        walk.map_err(|error| match error {
            WalkError::Call(status) => CallError::Ended {
                address: self.address.clone(),
                status,
            },
            WalkError::Print(why) => CallError::Print(why),
        })
    }
}

/// Resolves at the first signal. The second one ends the process.
fn leave() -> Result<impl Future<Output = ()>, CallError> {
    let mut signals =
        Signals::new(Hangup::EndsTheServer).map_err(|why| system("listen for signals", why))?;
    let (leave, left) = oneshot::channel();
    // This task ends with the process: there may always be one more signal.
    tokio::spawn(async move {
        let mut leave = Some(leave);
        loop {
            if let Signal::Stop(number) = signals.next().await {
                match leave.take() {
                    // An error says that the client has left already.
                    Some(leave) => drop(leave.send(())),
                    // As a shell tells of a program that a signal has ended.
                    None => std::process::exit(128 + i32::from(number)),
                }
            }
        }
    });
    Ok(async {
        let _ = left.await;
    })
}

fn system(what: &'static str, why: io::Error) -> CallError {
    CallError::Start(StartError::System { what, why })
}
