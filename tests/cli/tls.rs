//! TLS: certificates, clients' certificates, and new ones without a restart.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::identities;
use crate::identity::Identity;
use crate::process::{Serving, file, say_hello};
use crate::support::Client;
use crate::tokio;

/// An authority, and a client whose certificate it signed.
struct Authority {
    file: PathBuf,
    client: identities::Identity,
}

impl Authority {
    fn new(name: &str) -> Self {
        let authority = identities::Identity::authority(name);
        Self {
            file: file(&format!("{name}-ca.pem"), authority.pem().as_bytes()),
            client: authority.sign(|_| {}),
        }
    }
}

/// Connects, trusting `server`, and makes a call. Whatever goes wrong is an error.
async fn call(
    serving: &Serving,
    server: &CertificateDer<'static>,
    client: Option<&Authority>,
) -> Result<String, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(server.clone()).unwrap();
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let mut config = match client {
        Some(Authority { client, .. }) => config
            .with_client_auth_cert(vec![client.der()], client.private_key())
            .unwrap(),
        None => config.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"h2".to_vec()];

    let io = TcpStream::connect(serving.addresses[0]).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let connected = TlsConnector::from(Arc::new(config)).connect(name, io).await;
    let io = connected.map_err(|error| error.to_string())?;
    // In TLS 1.3 a client that is refused learns so after its handshake, from the first answer.
    let (send, connection) = h2::client::handshake(io)
        .await
        .map_err(|error| error.to_string())?;
    let connection = tokio::spawn(connection);
    if send.clone().ready().await.is_err() {
        return Err(connection.await.unwrap().unwrap_err().to_string());
    }
    let answer = say_hello(&Client(send)).await;
    match answer.messages.first() {
        Some(message) => Ok(message.clone()),
        None => Err(connection.await.unwrap().unwrap_err().to_string()),
    }
}

#[tokio::test]
async fn it_says_tls_and_speaks_it() {
    let identity = Identity::new("speaks");
    let serving = Serving::start(&[&["--addr", "127.0.0.1:0"], &identity.flags()[..]].concat());
    let address = serving.addresses[0];
    assert_eq!(
        serving.announced[0],
        format!("listening on {address} (TLS)")
    );
    assert_eq!(
        *serving.announced.last().unwrap(),
        format!(
            r"  printf '\0\0\0\0\5\n\3you' | curl -sk --http2 --data-binary @- --output - -H 'content-type: application/grpc' -H 'te: trailers' https://{address}/helloworld.Greeter/SayHello"
        )
    );
    let answer = call(&serving, identity.made.cert.der(), None).await;
    assert_eq!(answer.as_deref(), Ok("Hello, you!"));
}

#[tokio::test]
#[rustfmt::skip]
async fn clients_show_certificates_as_the_flags_say() {
    let identity = Identity::new("clients");
    let (ours, others) = (Authority::new("ours"), Authority::new("others"));
    let cases: &[(Option<&str>, [bool; 3])] = &[
        // --tls-client-auth   who gets in: without a certificate, with ours, with another
        (None,                 [false, true, false]),
        (Some("required"),     [false, true, false]),
        (Some("optional"),     [true,  true, false]),
    ];
    for (auth, expected) in cases {
        let mut flags = vec!["--addr", "127.0.0.1:0", "--tls-client-ca", ours.file.to_str().unwrap()];
        flags.extend(identity.flags());
        flags.extend(auth.iter().flat_map(|auth| ["--tls-client-auth", auth]));
        let serving = Serving::start(&flags);
        let command = serving.announced.last().unwrap();
        assert_eq!(command.contains("--cert CLIENT.pem --key CLIENT.key"), !expected[0], "{command}");
        for (client, expected) in [None, Some(&ours), Some(&others)].into_iter().zip(expected) {
            let answer = call(&serving, identity.made.cert.der(), client).await;
            assert_eq!(answer.is_ok(), *expected, "{auth:?}: {answer:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sighup_takes_new_certificates_and_keeps_the_old_ones_if_they_are_bad() {
    let old = Identity::new("reload");
    let new = Identity::new("reload-new");
    let serving = Serving::start(&[&["--addr", "127.0.0.1:0"], &old.flags()[..]].concat());
    let (old_der, new_der) = (old.made.cert.der(), new.made.cert.der());
    assert!(call(&serving, old_der, None).await.is_ok());

    fs::copy(&new.certificate, &old.certificate).unwrap();
    serving.signal("HUP");
    assert_eq!(
        serving.line(),
        format!(
            "kept the old TLS files: the key in {} does not fit the certificate in {}: give the key \
             that the certificate was made with, and begin the file of --tls-cert with that \
             certificate",
            old.key.display(),
            old.certificate.display()
        )
    );
    assert!(call(&serving, old_der, None).await.is_ok());

    fs::copy(&new.key, &old.key).unwrap();
    serving.signal("HUP");
    assert_eq!(
        serving.line(),
        "reloaded the TLS files; new connections use them"
    );
    assert!(call(&serving, new_der, None).await.is_ok());
    assert!(call(&serving, old_der, None).await.is_err());

    serving.stop();
}
