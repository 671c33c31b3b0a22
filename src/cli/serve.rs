//! `barewire serve`: the services of the gRPC tutorials, with health and reflection, from start to
//! drain.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, ValueEnum};
use tokio::sync::oneshot;

use super::listen::Sockets;
use super::log::{Log, LogFormat};
use super::messages::StartError;
use super::signals::{Hangup, Signal, Signals};
use super::tls_files::{Renewal, TlsFiles};
use super::{complain, say};
use crate::services::{Health, ServingStatus};
use crate::tutorial::{self, BUILT_IN_ROUTE_DATABASE, RouteDatabase, TutorialOptions};
use crate::{Counters, DrainReport, ReplyEncoding, Server, ServerConfig};

/// The flags of `barewire serve`.
#[derive(Args)]
pub(super) struct ServeOptions {
    /// Address to listen on; give it again for one more [default: 127.0.0.1:50051 and
    /// [::1]:50051]
    ///
    /// An IP address or a name, and a port: 127.0.0.1:50051, [::]:50051, localhost:50051. Port 0 is
    /// any that is free. Every address serves everything.
    #[arg(long = "addr", value_name = "HOST:PORT")]
    addresses: Vec<String>,

    /// Serve TLS with this certificate, in PEM, its issuers after it
    #[arg(long, value_name = "FILE")]
    pub(super) tls_cert: Option<PathBuf>,

    /// The private key of the certificate, in PEM
    #[arg(long, value_name = "FILE")]
    pub(super) tls_key: Option<PathBuf>,

    /// Ask clients for certificates, signed by these authorities, in PEM
    #[arg(long, value_name = "FILE")]
    pub(super) tls_client_ca: Option<PathBuf>,

    /// Whether a client may come without a certificate [default: required]
    #[arg(long, value_name = "HOW")]
    pub(super) tls_client_auth: Option<ClientAuth>,

    /// The places that routeguide.RouteGuide knows, in JSON, instead of the built-in ones
    #[arg(long, value_name = "FILE")]
    route_db: Option<PathBuf>,

    /// How often Contact makes tasks, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "40", value_parser = parse_interval)]
    task_interval: Duration,

    /// A line on standard error for each call
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    log: LogFormat,

    /// How long calls may go on when the server is to stop, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = parse_seconds)]
    drain_timeout: Duration,
}

/// Whether a client must show a certificate.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum ClientAuth {
    /// It may come without
    Optional,
    /// It may not
    Required,
}

/// What `barewire serve` raises RLIMIT_NOFILE to, as far as the system lets it: each connection takes a file
/// descriptor. Programs of others do so themselves.
const DESCRIPTORS: u64 = u64::MAX;

/// Serves until a signal ends it.
pub(super) fn run(options: &ServeOptions) -> ExitCode {
    // Fewer of them are no reason not to start.
    let _ = rlimit::increase_nofile_limit(DESCRIPTORS);
    let log = Log::start(options.log);
    let outcome = block_on(serve(options, &log));
    log.flush(Duration::from_secs(1));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

async fn serve(options: &ServeOptions, log: &Log) -> Result<(), StartError> {
    let renewal = match TlsFiles::from_options(options)? {
        Some(files) => Some(Renewal {
            tls: files.load()?,
            files,
        }),
        None => None,
    };
    let mut server = build_server(options, log)?;
    if let Some(renewal) = &renewal {
        server = server.tls(renewal.tls.clone());
    }
    let sockets = Sockets::open(&options.addresses).await?;
    let start = Start {
        announcement: announcement(&sockets, &server, renewal.as_ref()),
        sockets,
        server,
        drain_timeout: options.drain_timeout,
        renewal,
        log: log.clone(),
    };
    start.serve_until_told().await
}

/// Runs what a command does, on threads of its own.
pub(super) fn block_on<T>(
    work: impl Future<Output = Result<T, StartError>>,
) -> Result<T, StartError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|why| StartError::System {
            what: "start threads",
            why,
        })?;
    let outcome = runtime.block_on(work);
    // Nothing is left to wait for but, perhaps, a name that is being looked up.
    runtime.shutdown_background();
    outcome
}

/// A server that has all it needs.
pub(super) struct Start {
    pub(super) server: Server,
    pub(super) sockets: Sockets,
    pub(super) announcement: String,
    pub(super) drain_timeout: Duration,
    pub(super) renewal: Option<Renewal>,
    pub(super) log: Log,
}

impl Start {
    /// Serves until a signal ends it.
    pub(super) async fn serve_until_told(self) -> Result<(), StartError> {
        let hangup = match self.renewal {
            Some(_) => Hangup::Reloads,
            None => Hangup::EndsTheServer,
        };
        let signals = Signals::new(hangup).map_err(|why| StartError::System {
            what: "listen for signals",
            why,
        })?;
        say(&self.announcement);

        let (stop, stopped) = oneshot::channel();
        // This task ends with the process: there may always be one more signal.
        tokio::spawn(follow(signals, stop, self.renewal, self.log));
        let seconds = self.drain_timeout.as_secs_f64();
        let drain = async {
            let _ = stopped.await;
            say(&format!(
                "draining: calls have {seconds} s to end; a second signal stops at once"
            ));
        };
        let counters = self.server.counters();
        let report = self
            .server
            .serve_until(self.sockets.listeners, drain)
            .await
            .map_err(|why| StartError::System { what: "serve", why })?;
        say(&format_report(&report, &counters));
        Ok(())
    }
}

/// Does what signals ask for.
async fn follow(
    mut signals: Signals,
    stop: oneshot::Sender<()>,
    renewal: Option<Renewal>,
    log: Log,
) {
    let mut stop = Some(stop);
    loop {
        match signals.next().await {
            Signal::Reload => match renewal.as_ref().map(Renewal::renew) {
                Some(Ok(())) => say("reloaded the TLS files; new connections use them"),
                Some(Err(error)) => say(&format!("kept the old TLS files: {error}")),
                None => {}
            },
            Signal::Stop(number) => match stop.take() {
                // An error says that the server has ended already.
                Some(stop) => drop(stop.send(())),
                None => {
                    log.flush(Duration::from_millis(100));
                    // As a shell tells of a program that a signal has ended.
                    std::process::exit(128 + i32::from(number));
                }
            },
        }
    }
}

/// The server with all that it serves. What else there is to serve is added here.
fn build_server(options: &ServeOptions, log: &Log) -> Result<Server, StartError> {
    let config = ServerConfig {
        reply_encoding: ReplyEncoding::AsRequest,
        drain_timeout: options.drain_timeout,
        ..ServerConfig::default()
    };
    let server = log.watch(Server::new().with_config(config));
    let server = tutorial::add_all(
        server,
        TutorialOptions {
            route_database: load_route_database(options)?,
            task_interval: options.task_interval,
        },
    );
    let health = Health::new();
    for name in server.service_names() {
        health.set(name, ServingStatus::Serving);
    }
    // Reflection tells of what was added before it.
    Ok(server.add(health).reflection())
}

fn load_route_database(options: &ServeOptions) -> Result<RouteDatabase, StartError> {
    let (path, json) = match &options.route_db {
        Some(path) => {
            let json = fs::read(path);
            let json = json.map_err(|why| StartError::unreadable("--route-db", path, why))?;
            (path.clone(), json)
        }
        None => ("built-in".into(), BUILT_IN_ROUTE_DATABASE.into()),
    };
    RouteDatabase::parse(&json).map_err(|error| StartError::RouteDatabase { path, error })
}

/// Tells where the server listens, what it serves, and how to try it.
fn announcement(sockets: &Sockets, server: &Server, renewal: Option<&Renewal>) -> String {
    let mut text = sockets.announcement(renewal);
    text += "serving\n";
    for name in server.service_names() {
        text += &format!("  {name}\n");
    }
    if let Some(command) = command_to_try(sockets, renewal.map(|renewal| &renewal.files)) {
        text += &format!("try\n  {command}\n");
    }
    text
}

/// A call that needs no generated code, so that anyone may make it: its request is a
/// `HelloRequest` in bytes, field 1 with three bytes of text.
fn command_to_try(sockets: &Sockets, tls: Option<&TlsFiles>) -> Option<String> {
    let mut address = *sockets.addresses.first()?;
    if address.ip().is_unspecified() {
        let loopback: std::net::IpAddr = if address.is_ipv4() {
            std::net::Ipv4Addr::LOCALHOST.into()
        } else {
            std::net::Ipv6Addr::LOCALHOST.into()
        };
        address.set_ip(loopback);
    }
    let Some(tls) = tls else {
        return Some(format!(
            "python3 -c \"import grpc; print(grpc.insecure_channel('{address}')\
             .unary_unary('/helloworld.Greeter/SayHello')(b'\\n\\x03you'))\""
        ));
    };
    // Python would have to know who signed the certificate, and for which name.
    let certificate = if tls.clients_must_show_certificates() {
        " --cert CLIENT.pem --key CLIENT.key"
    } else {
        ""
    };
    Some(format!(
        "printf '\\0\\0\\0\\0\\5\\n\\3you' | curl -sk{certificate} --http2 --data-binary @- --output - \
         -H 'content-type: application/grpc' -H 'te: trailers' \
         https://{address}/helloworld.Greeter/SayHello"
    ))
}

fn format_report(report: &DrainReport, counters: &Counters) -> String {
    let mut text = format!("stopped after {:.1} s", report.duration.as_secs_f64());
    match report.cut.len() {
        0 => text += "; every call has ended",
        1 => text += "; 1 call was cut",
        count => text += &format!("; {count} calls were cut"),
    }
    for call in &report.cut {
        let age = call.age.as_secs_f64();
        text += &format!("\n  {} from {} after {age:.1} s", call.path, call.peer);
    }
    let mut hits = counters.hit().peekable();
    if hits.peek().is_some() {
        text += "\nlimits that were hit";
    }
    for (counter, times) in hits {
        text += &format!("\n  {counter} {times}");
    }
    text
}

fn parse_seconds(text: &str) -> Result<Duration, String> {
    text.parse()
        .ok()
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .ok_or_else(|| "write seconds as a number, such as 40 or 0.5".to_owned())
}

pub(super) fn parse_interval(text: &str) -> Result<Duration, String> {
    let interval = parse_seconds(text)?;
    if interval.is_zero() {
        return Err("write seconds above zero, such as 40 or 0.5".to_owned());
    }
    Ok(interval)
}
