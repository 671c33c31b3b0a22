//! The two commands, with the flags of the official programs.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use barewire::interop::{Case, CaseGroup};

use crate::certificates::Certificates;

const BAREWIRE: &str = env!("CARGO_BIN_EXE_barewire");

/// `barewire interop server` at work. Killed when it is dropped.
struct Serving {
    child: Child,
    port: String,
    announced: String,
}

impl Serving {
    fn start(flags: &[&str]) -> Self {
        let mut child = Command::new(BAREWIRE)
            .args(["interop", "server", "--port=0"])
            .args(flags)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut announced = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdout.read_line(&mut announced).unwrap();
        let words: Vec<&str> = announced.split(' ').collect();
        let address: SocketAddr = words[2].parse().unwrap();
        Self {
            child,
            port: address.port().to_string(),
            announced,
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn client(flags: &[&str]) -> Output {
    let mut command = Command::new(BAREWIRE);
    command.args(["interop", "client"]).args(flags);
    command.stdin(Stdio::null()).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// A file that no other test has.
fn file(name: &str, text: &str) -> String {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

/// Checks that every case for servers that behave has passed, in its order.
fn all_passed(output: &Output) {
    let out = text(&output.stdout);
    assert_eq!(
        output.status.code(),
        Some(0),
        "{out}\n{}",
        text(&output.stderr)
    );
    let names = Case::ALL
        .iter()
        .filter(|case| case.group != CaseGroup::Http2)
        .map(|case| case.name);
    let names: Vec<&str> = names.collect();
    let mut lines: Vec<&str> = out.lines().collect();
    let count = names.len();
    assert_eq!(
        lines.pop(),
        Some(&*format!("{count} of {count} cases passed"))
    );
    let passed: Vec<&str> = lines
        .iter()
        .map(|line| line.split_once(": passed in ").unwrap().0)
        .collect();
    assert_eq!(passed, names);
}

#[test]
fn every_case_passes_in_clear_text() {
    let server = Serving::start(&[]);
    assert!(server.announced.ends_with(" (plain text)\n"));
    let flags = [
        "--server_host=localhost",
        "--server_port",
        &server.port,
        "--test_case",
        "all",
    ];
    let output = client(&flags);
    all_passed(&output);
    // The tools of the soak tests look for lines of this form.
    let log = text(&output.stderr);
    let lines: Vec<&str> = log
        .lines()
        .filter(|line| line.contains("soak iteration: "))
        .collect();
    assert_eq!(lines.len(), 20, "{log}");
    for line in lines {
        let words: Vec<&str> = line.split(' ').skip_while(|word| *word != "soak").collect();
        let [
            "soak",
            "iteration:",
            number,
            "elapsed_ms:",
            elapsed,
            "peer:",
            _,
            "succeeded",
        ] = *words
        else {
            panic!("{line}");
        };
        assert!(
            number.parse::<u64>().is_ok() && elapsed.parse::<u64>().is_ok(),
            "{line}"
        );
    }
}

#[test]
fn every_case_passes_over_tls() {
    let made = Certificates::make();
    let [authority, certificate, key] = [
        ("commands-ca.pem", &made.authority),
        ("commands-server1.pem", &made.certificate),
        ("commands-server1.key", &made.key),
    ]
    .map(|(name, pem)| file(name, pem));
    let server = Serving::start(&[
        "--use_tls",
        "true",
        "--tls_cert_file",
        &certificate,
        "--tls_key_file",
        &key,
    ]);
    assert!(server.announced.ends_with(" (TLS)\n"));
    let port = format!("--server_port={}", server.port);
    let trusting = ["--use_test_ca", "--ca_file", &authority];
    let named = ["--server_host_override=foo.test.google.fr"];
    let over_tls = |more: &[&str]| {
        let flags = ["--server_host", "127.0.0.1", &port, "--use_tls=true"];
        client(&[&flags, more].concat())
    };
    all_passed(&over_tls(
        &[&trusting[..], &named, &["--test_case=all"]].concat(),
    ));

    // The certificate is for no other host, and nobody else vouches for it.
    for flags in [&trusting[..], &named] {
        let output = over_tls(flags);
        let out = text(&output.stdout);
        assert_eq!(output.status.code(), Some(1), "{flags:?}: {out}");
        assert!(out.contains("; came UNAVAILABLE: "), "{flags:?}: {out}");
    }
}

#[test]
#[rustfmt::skip]
fn one_case_is_told_in_one_line() {
    let server = Serving::start(&[]);
    let cases: &[(&[&str], i32, &str, &str)] = &[
        // flags                                                     exit  it begins with            and has
        (&[],                                                           0, "large_unary: passed",    ""),
        (&["--test_case=empty_unary", "--use_tls=false"],               0, "empty_unary: passed",    ""),
        (&["--test_case", "ping_pong", "--use_tls", "false"],           0, "ping_pong: passed",      ""),
        (&["--test_case", "rst_after_header"],                          1, "rst_after_header: FAILED", ": expected UnaryCall to end with INTERNAL; came OK"),
        (&["--additional_metadata", "a:b:c;d:e"],                       0, "large_unary: passed",    ""),
        (&["--service_config_json", r#"{"loadBalancingConfig":[{"test_backend_metrics_load_balancer":{}}]}"#], 0, "large_unary: passed", ""),
        (&["--test_case=rpc_soak", "--soak_iterations=2", "--soak_num_threads=2", "--soak_max_failures=1",
           "--soak_per_iteration_max_acceptable_latency_ms=5000", "--soak_overall_timeout_seconds=20",
           "--soak_min_time_ms_between_rpcs=1", "--soak_request_size=5", "--soak_response_size=7"], 0, "rpc_soak: passed", ""),
    ];
    for (flags, code, begins, has) in cases {
        let output = client(&[&["--server_host=127.0.0.1", "--server_port", &server.port], *flags].concat());
        let out = text(&output.stdout);
        assert_eq!(output.status.code(), Some(*code), "{flags:?}: {out}");
        assert!(out.starts_with(begins) && out.contains(has) && out.lines().count() == 1, "{flags:?}: {out}");
    }
}

#[test]
#[rustfmt::skip]
fn what_is_missing_or_wrong_is_told() {
    let cases: &[(&[&str], &str)] = &[
        (&["server", "--use_tls"],                         "--use_tls is given without --tls_cert_file and --tls_key_file: "),
        (&["server", "--use_tls", "--tls_cert_file", "x"], "--use_tls is given without --tls_key_file: "),
        (&["server", "--use_tls", "--tls_key_file", "x"],  "--use_tls is given without --tls_cert_file: "),
        (&["client", "--use_tls", "--use_test_ca"],        "--use_test_ca is given without --ca_file: "),
        (&["client", "--use_tls", "--ca_file", "/none"],   "cannot read /none of --ca_file: "),
        (&["client", "--test_case=large"],                 "--test_case \"large\" is none of these: empty_unary, "),
        (&["client", "--test_case=jwt_token_creds"],       "--test_case jwt_token_creds is not among ours: it wants credentials of Google Cloud"),
        (&["client", "--service_config_json", "{"],        "--service_config_json is no service config: "),
        (&["client", "--additional_metadata", "a"],        "invalid value 'a' for '--additional_metadata <PAIRS>': \"a\" has no colon: write KEY:VALUE;KEY:VALUE; "),
        (&["client", "--additional_metadata", "a-bin:b"],  "invalid value 'a-bin:b' for '--additional_metadata <PAIRS>': metadata name \"a-bin\" "),
    ];
    for (arguments, begins) in cases {
        let output = Command::new(BAREWIRE).arg("interop").args(*arguments).output().unwrap();
        let error = text(&output.stderr);
        assert!(output.status.code() != Some(0), "{arguments:?}");
        assert!(error.starts_with(&format!("error: {begins}")) && error.lines().count() == 1, "{arguments:?}: {error}");
    }
}

#[test]
fn a_busy_port_says_which_and_what_to_do() {
    let server = Serving::start(&[]);
    let output = Command::new(BAREWIRE)
        .args(["interop", "server", "--port", &server.port])
        .output()
        .unwrap();
    let next = server
        .port
        .parse::<u16>()
        .unwrap()
        .checked_add(1)
        .unwrap_or(10000);
    assert_eq!(
        text(&output.stderr),
        format!(
            "error: cannot listen on port {}: another program listens there; stop it, or choose \
             another with --port {next}\n",
            server.port
        )
    );
}
