//! Our client against our server.

use std::collections::BTreeSet;

use barewire::interop::{self, Case};
use barewire::{Channel, ChannelConfig, ClientCertificates, ClientTls, Server, ServerTls};
use tokio::net::TcpListener;

use crate::certificates::Certificates;
use crate::support::{cases, client, client_of, client_of_nobody, run, run_all};
use crate::tokio;

#[tokio::test(start_paused = true)]
async fn every_case_passes_in_clear_text() {
    run_all(&client()).await;
}

#[tokio::test]
async fn every_case_passes_over_tls() {
    let made = Certificates::make();
    let tls = ServerTls::from_pem(
        made.certificate.as_bytes(),
        made.key.as_bytes(),
        ClientCertificates::None,
    );
    let server = interop::add_all(Server::new()).tls(tls.unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = format!("https://{}", listener.local_addr().unwrap());
    tokio::spawn(server.serve(listener));

    let tls = ClientTls::with_roots(made.authority.as_bytes()).unwrap();
    let config = ChannelConfig {
        tls: Some(tls.server_name("foo.test.google.fr").unwrap()),
        ..ChannelConfig::default()
    };
    let connect = move || Channel::with_config(&target, config.clone()).unwrap();
    run_all(&client_of(connect)).await;
}

#[tokio::test(start_paused = true)]
async fn every_case_passes_with_metadata_on_every_call() {
    let mut client = client();
    client.metadata.insert("tenant", "blue").unwrap();
    run_all(&client).await;
}

#[tokio::test(start_paused = true)]
async fn a_case_fails_on_a_server_that_has_nothing() {
    let client = client_of_nobody();
    let mut passed = Vec::new();
    for case in cases() {
        if client.run(case).await.is_ok() {
            passed.push(case.name);
        }
    }
    // Nothing is asked of the server before the call is cancelled.
    let expected = [
        "unimplemented_method",
        "unimplemented_service",
        "cancel_after_begin",
    ];
    assert_eq!(passed, expected);
}

#[tokio::test]
async fn a_request_that_is_not_taken_fails_as_the_response_says() {
    let client = client_of_nobody();
    for case in ["client_streaming", "ping_pong", "orca_oob"] {
        let failure = run(&client, case).await.unwrap_err();
        assert!(
            failure.came.starts_with("UNIMPLEMENTED"),
            "{case}: {failure}"
        );
    }
}

#[tokio::test]
async fn a_failure_tells_what_was_expected_and_what_came() {
    let failure = run(&client(), "rst_after_data").await.unwrap_err();
    let text = "expected UnaryCall to end with INTERNAL; came OK";
    assert_eq!(failure.to_string(), text);
}

#[test]
fn a_case_has_a_name_of_its_own() {
    let names: BTreeSet<_> = Case::ALL.iter().map(|case| case.name).collect();
    assert_eq!(names.len(), Case::ALL.len());
}
