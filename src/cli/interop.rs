//! `barewire interop server` and `barewire interop client`: the interop tests of gRPC, with the flags
//! that the programs of other implementations have.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::{ArgAction, Args, Subcommand};
use serde_json::{Value, json};

use super::listen::Sockets;
use super::log::{Log, LogFormat};
use super::messages::StartError;
use super::serve::{Start, block_on};
use super::tls_files::{Renewal, TlsFiles, load_roots};
use super::{complain, say};
use crate::interop::{self, Case, CaseGroup, SoakOptions, TestClient};
use crate::services::Health;
use crate::{Channel, ChannelConfig, ClientTls, Metadata, Server, ServerConfig, ServiceConfig};

/// Which side to be.
#[derive(Subcommand)]
pub(super) enum InteropCommand {
    /// Serve grpc.testing.TestService to the clients of the interop tests.
    Server(ServerOptions),
    /// Run test cases against a server of the interop tests.
    Client(ClientOptions),
}

/// The flags of `barewire interop server`.
#[derive(Args)]
#[command(rename_all = "snake_case")]
pub(super) struct ServerOptions {
    /// Port to listen on, at all addresses of this machine; 0 is any that is free
    #[arg(long, default_value_t = 10000)]
    port: u16,

    /// Whether to serve TLS
    #[arg(long, value_name = "BOOL", action = ArgAction::Set, num_args = 0..=1)]
    #[arg(default_value_t = false, default_missing_value = "true")]
    use_tls: bool,

    /// With TLS, the certificate, in PEM, its issuers after it
    #[arg(long, value_name = "FILE")]
    tls_cert_file: Option<PathBuf>,

    /// With TLS, the private key of the certificate, in PEM
    #[arg(long, value_name = "FILE")]
    tls_key_file: Option<PathBuf>,
}

/// The flags of `barewire interop client`.
#[derive(Args)]
#[command(rename_all = "snake_case", after_help = list_cases())]
pub(super) struct ClientOptions {
    /// Host of the server
    #[arg(long, value_name = "HOST", default_value = "localhost")]
    server_host: String,

    /// Port of the server
    #[arg(long, value_name = "PORT", default_value_t = 10000)]
    server_port: u16,

    /// The host that is asked for, and that the server's certificate must be for [default: the host of
    /// the server]
    #[arg(long, value_name = "HOST")]
    server_host_override: Option<String>,

    /// The case to run, or all
    #[arg(long, value_name = "CASE", default_value = "large_unary")]
    test_case: String,

    /// Whether to speak TLS
    #[arg(long, value_name = "BOOL", action = ArgAction::Set, num_args = 0..=1)]
    #[arg(default_value_t = false, default_missing_value = "true")]
    use_tls: bool,

    /// Whether the certificate's authority must be that of --ca_file
    #[arg(long, value_name = "BOOL", action = ArgAction::Set, num_args = 0..=1)]
    #[arg(default_value_t = false, default_missing_value = "true")]
    use_test_ca: bool,

    /// With TLS, trust these authorities, in PEM [default: the roots of the system]
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,

    /// Metadata for every call: KEY:VALUE;KEY:VALUE. A value may have colons in it
    #[arg(long, value_name = "PAIRS", value_parser = parse_metadata)]
    additional_metadata: Option<Metadata>,

    /// What the service's owner asks of clients, in JSON
    #[arg(long, value_name = "JSON")]
    service_config_json: Option<String>,

    #[command(flatten)]
    soak: SoakFlags,
}

/// The flags of the cases that take long.
#[derive(Args)]
#[command(
    rename_all = "snake_case",
    next_help_heading = "Of rpc_soak and channel_soak"
)]
struct SoakFlags {
    /// How many calls to make
    #[arg(long, value_name = "COUNT", default_value_t = 10)]
    soak_iterations: u32,

    /// How many of them may fail
    #[arg(long, value_name = "COUNT", default_value_t = 0)]
    soak_max_failures: u32,

    /// A call that takes longer has failed
    #[arg(long, value_name = "MS", default_value_t = 1000)]
    soak_per_iteration_max_acceptable_latency_ms: u32,

    /// How long all calls may take together [default: as long as the iterations may]
    #[arg(long, value_name = "SECONDS")]
    soak_overall_timeout_seconds: Option<u32>,

    /// From the start of a call to the start of the next, at the least
    #[arg(long, value_name = "MS", default_value_t = 0)]
    soak_min_time_ms_between_rpcs: u32,

    /// Bytes of payload in a request
    #[arg(long, value_name = "BYTES", default_value_t = 271_828)]
    soak_request_size: u32,

    /// Bytes of payload in a response
    #[arg(long, value_name = "BYTES", default_value_t = 314_159)]
    soak_response_size: u32,

    /// How many calls to make side by side; the iterations must be a multiple of it
    #[arg(long, value_name = "COUNT", default_value_t = 1)]
    soak_num_threads: u32,
}

/// Does what the command line says.
pub(super) fn run(command: &InteropCommand) -> ExitCode {
    let outcome = match command {
        InteropCommand::Server(options) => block_on(serve(options)).map(|()| ExitCode::SUCCESS),
        InteropCommand::Client(options) => block_on(run_cases(options)),
    };
    outcome.unwrap_or_else(|error| {
        complain(&error.to_string());
        ExitCode::FAILURE
    })
}

/// Serves until a signal ends it.
async fn serve(options: &ServerOptions) -> Result<(), StartError> {
    let config = ServerConfig::default();
    let drain_timeout = config.drain_timeout;
    let server = interop::add_all(Server::new().with_config(config));
    let mut server = server.add(Health::new()).reflection();
    let renewal = match server_tls(options)? {
        Some(files) => Some(Renewal {
            tls: files.load()?,
            files,
        }),
        None => None,
    };
    if let Some(renewal) = &renewal {
        server = server.tls(renewal.tls.clone());
    }
    let sockets = Sockets::open_everywhere(options.port)?;
    let start = Start {
        announcement: sockets.announcement(renewal.as_ref()),
        sockets,
        server,
        drain_timeout,
        renewal,
        log: Log::start(LogFormat::None),
    };
    start.serve_until_told().await
}

// The programs of others have a certificate of grpc's built in. Ours has none: its key is known to
// everybody, and one day it expires.
fn server_tls(options: &ServerOptions) -> Result<Option<TlsFiles>, StartError> {
    const CERTIFICATE: &str = "--tls_cert_file";
    const KEY: &str = "--tls_key_file";
    if !options.use_tls {
        return Ok(None);
    }
    let missing = match (&options.tls_cert_file, &options.tls_key_file) {
        (Some(certificate), Some(key)) => {
            return Ok(Some(TlsFiles::of_pair(
                (CERTIFICATE, certificate),
                (KEY, key),
            )));
        }
        (Some(_), None) => KEY,
        (None, Some(_)) => CERTIFICATE,
        (None, None) => "--tls_cert_file and --tls_key_file",
    };
    Err(StartError::InteropServerTls { missing })
}

/// Runs the cases that are asked for, and tells of each.
async fn run_cases(options: &ClientOptions) -> Result<ExitCode, StartError> {
    let cases = find_cases(&options.test_case)?;
    let client = build_client(options)?;
    let mut failed = 0_usize;
    for case in &cases {
        let start = Instant::now();
        let outcome = client.run(case).await;
        let elapsed = start.elapsed().as_millis();
        match outcome {
            Ok(()) => say(&format!("{}: passed in {elapsed} ms", case.name)),
            Err(failure) => {
                failed += 1;
                say(&format!(
                    "{}: FAILED after {elapsed} ms: {failure}",
                    case.name
                ));
            }
        }
    }
    if cases.len() > 1 {
        say(&format!(
            "{} of {} cases passed",
            cases.len() - failed,
            cases.len()
        ));
    }
    Ok(if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn find_cases(name: &str) -> Result<Vec<&'static Case>, StartError> {
    if name == ALL_CASES {
        let behaves = |case: &&Case| case.group != CaseGroup::Http2;
        return Ok(Case::ALL.iter().filter(behaves).collect());
    }
    if let Some(case) = Case::from_name(name) {
        return Ok(vec![case]);
    }
    let left_out = LEFT_OUT.into_iter().find(|(left_out, _)| *left_out == name);
    Err(match left_out {
        Some((name, wants)) => StartError::CaseLeftOut { name, wants },
        None => StartError::UnknownCase {
            name: name.to_owned(),
            known: Case::ALL.iter().map(|case| case.name).collect(),
        },
    })
}

fn build_client(options: &ClientOptions) -> Result<TestClient, StartError> {
    let config = ChannelConfig {
        tls: client_tls(options)?,
        authority: options.server_host_override.clone(),
        service_config: match &options.service_config_json {
            Some(json) => Some(parse_service_config(json)?),
            None => None,
        },
        ..ChannelConfig::default()
    };
    let (host, port) = (&options.server_host, options.server_port);
    // An IPv6 address stands in brackets before a port. RFC 3986 §3.2.2.
    let server = if host.contains(':') && !host.starts_with('[') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    };
    let scheme = if options.use_tls { "https" } else { "http" };
    let target = format!("{scheme}://{server}");
    Ok(TestClient {
        connect: Arc::new(move || Channel::with_config(&target, config.clone())),
        server,
        metadata: options.additional_metadata.clone().unwrap_or_default(),
        soak: options.soak.options(),
    })
}

fn client_tls(options: &ClientOptions) -> Result<Option<ClientTls>, StartError> {
    if !options.use_tls {
        return Ok(None);
    }
    if options.use_test_ca && options.ca_file.is_none() {
        return Err(StartError::InteropAuthorityMissing);
    }
    let tls = load_roots(options.ca_file.as_deref().map(|path| ("--ca_file", path)))?;
    match &options.server_host_override {
        Some(name) => tls.server_name(name).map(Some).map_err(StartError::Tls),
        None => Ok(Some(tls)),
    }
}

/// Reads a service config. One that asks for the load balancer of the ORCA cases gets the first
/// address that can be reached, as from that balancer; the reports the cases take themselves.
fn parse_service_config(json: &str) -> Result<ServiceConfig, StartError> {
    let refuse = |why: String| StartError::ServiceConfig { why };
    let mut config: Value = serde_json::from_str(json).map_err(|why| refuse(why.to_string()))?;
    let policies = config
        .get_mut("loadBalancingConfig")
        .and_then(Value::as_array_mut);
    for policy in policies.into_iter().flatten() {
        if policy.get("test_backend_metrics_load_balancer").is_some() {
            *policy = json!({ "pick_first": {} });
        }
    }
    ServiceConfig::from_json(&config.to_string()).map_err(|why| refuse(why.to_string()))
}

/// Reads `KEY:VALUE;KEY:VALUE`. A key ends at the first colon, a value at the next semicolon.
fn parse_metadata(text: &str) -> Result<Metadata, String> {
    let mut metadata = Metadata::new();
    for pair in text.split(';').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair
            .split_once(':')
            .ok_or_else(|| format!("{pair:?} has no colon: write KEY:VALUE;KEY:VALUE"))?;
        metadata
            .append(key, value)
            .map_err(|status| status.message.into_owned())?;
    }
    Ok(metadata)
}

impl SoakFlags {
    fn options(&self) -> SoakOptions {
        let millis = |millis: u32| Duration::from_millis(millis.into());
        let per_iteration = millis(self.soak_per_iteration_max_acceptable_latency_ms);
        let overall = self.soak_overall_timeout_seconds;
        SoakOptions {
            iterations: self.soak_iterations,
            max_failures: self.soak_max_failures,
            per_iteration_max_acceptable_latency: per_iteration,
            overall_timeout: overall.map_or_else(
                || per_iteration.saturating_mul(self.soak_iterations),
                |seconds| Duration::from_secs(seconds.into()),
            ),
            min_time_between_rpcs: millis(self.soak_min_time_ms_between_rpcs),
            request_size: self.soak_request_size,
            response_size: self.soak_response_size,
            num_threads: self.soak_num_threads,
            say: |line| {
                let _ = writeln!(io::stderr().lock(), "{line}");
            },
        }
    }
}

fn list_cases() -> String {
    let (negative, standard): (Vec<&Case>, Vec<&Case>) = Case::ALL
        .iter()
        .partition(|case| case.group == CaseGroup::Http2);
    let list = |cases: Vec<&Case>| -> String {
        let lines = cases
            .iter()
            .map(|case| format!("  {:<28} {}\n", case.name, case.about));
        lines.collect()
    };
    format!(
        "Cases:\n  {ALL_CASES:<28} those of this list, one after the other\n{}\n\
         Cases for a server that misbehaves in just this way:\n{}",
        list(standard),
        list(negative)
    )
}

const ALL_CASES: &str = "all";
/// Cases of the document that are not among ours, and what they want.
const LEFT_OUT: [(&str, &str); 8] = [
    (
        "cacheable_unary",
        "a call made by GET, and a proxy that answers the second one",
    ),
    ("compute_engine_channel_credentials", GOOGLE_CLOUD),
    ("compute_engine_creds", GOOGLE_CLOUD),
    ("google_default_credentials", GOOGLE_CLOUD),
    ("jwt_token_creds", GOOGLE_CLOUD),
    ("oauth2_auth_token", GOOGLE_CLOUD),
    ("per_rpc_creds", GOOGLE_CLOUD),
    ("service_account_creds", GOOGLE_CLOUD),
];
const GOOGLE_CLOUD: &str = "credentials of Google Cloud";
