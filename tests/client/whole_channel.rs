//! Channels to real sockets: every kind of target, TLS, proxies, and what goes wrong on the way.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use barewire::proxy::{Proxy, Proxying};
use barewire::resolve::Fixed;
use barewire::{
    Address, CallStart, Channel, ChannelConfig, ClientCertificates, ClientTls, Code, Credentials,
    Interceptor, Listeners, Response, Server, ServerTls, Status,
};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

use crate::shapes::path;
use crate::support::{PATIENCE, Probe};
use crate::tokio;

/// A server with the probe on a port of the system's choice.
async fn serve(tls: Option<ServerTls>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = Server::new().add(Probe::default());
    let server = match tls {
        Some(tls) => server.tls(tls),
        None => server,
    };
    tokio::spawn(server.serve(listener));
    address
}

/// TLS for both ends, by a certificate for `name`.
fn tls(name: &str) -> (ServerTls, ClientTls) {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed([name.to_owned()]).unwrap();
    let (cert, key) = (cert.pem(), signing_key.serialize_pem());
    let server = ServerTls::from_pem(cert.as_bytes(), key.as_bytes(), ClientCertificates::None);
    (
        server.unwrap(),
        ClientTls::with_roots(cert.as_bytes()).unwrap(),
    )
}

fn with_tls(tls: ClientTls) -> ChannelConfig {
    ChannelConfig {
        tls: Some(tls),
        ..ChannelConfig::default()
    }
}

async fn echo(channel: &Channel) -> Result<String, Status> {
    let call = channel.unary(path("Echo"), "hello".to_owned());
    let answer: Response<String> = tokio::time::timeout(PATIENCE, call).await.unwrap()?;
    Ok(answer.message)
}

async fn refused(target: &str, config: ChannelConfig) -> Status {
    let channel = Channel::with_config(target, config).unwrap();
    let status = echo(&channel).await.unwrap_err();
    assert_eq!(status.code, Code::Unavailable, "{status}");
    assert!(status.unprocessed, "{status}");
    status
}

#[tokio::test]
async fn p195_p196_p198_a_server_is_reached_by_every_form_of_its_address() {
    let address = serve(None).await;
    let port = address.port();
    for target in [
        format!("http://127.0.0.1:{port}"),
        format!("http://localhost:{port}/"),
        format!("127.0.0.1:{port}"),
        format!("localhost:{port}"),
        format!("dns:///localhost:{port}"),
        format!("dns:127.0.0.1:{port}"),
        format!("ipv4:127.0.0.1:{port}"),
        // Nobody listens on port 1.
        format!("ipv4:127.0.0.1:1,127.0.0.1:{port}"),
        format!("passthrough:///127.0.0.1:{port}"),
    ] {
        let channel = Channel::connect(&target).await.unwrap();
        assert_eq!(echo(&channel).await.unwrap(), "hello", "{target}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn p197_unix_sockets_are_reached_by_path() {
    let folder = std::env::temp_dir().join(format!("barewire-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let socket = folder.join("socket");
    let _ = std::fs::remove_file(&socket);
    let listener = tokio::net::UnixListener::bind(&socket).unwrap();
    tokio::spawn(
        Server::new()
            .add(Probe::default())
            .serve(Listeners::from(listener)),
    );
    for target in [
        format!("unix:{}", socket.display()),
        format!("unix://{}", socket.display()),
    ] {
        let channel = Channel::connect(&target).await.unwrap();
        assert_eq!(echo(&channel).await.unwrap(), "hello", "{target}");
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn p197_abstract_sockets_are_reached_by_name() {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixListener};

    let name = format!("barewire-test-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    let listener = UnixListener::bind_addr(&address).unwrap();
    listener.set_nonblocking(true).unwrap();
    let listener = tokio::net::UnixListener::from_std(listener).unwrap();
    tokio::spawn(
        Server::new()
            .add(Probe::default())
            .serve(Listeners::from(listener)),
    );
    let channel = Channel::connect(&format!("unix-abstract:{name}"))
        .await
        .unwrap();
    assert_eq!(echo(&channel).await.unwrap(), "hello");
}

#[tokio::test]
async fn p003_p004_a_server_with_tls_is_reached_by_its_name() {
    let (server, client) = tls("localhost");
    let address = serve(Some(server)).await;
    let port = address.port();
    for target in [
        format!("https://localhost:{port}"),
        format!("localhost:{port}"),
    ] {
        let channel = Channel::with_config(&target, with_tls(client.clone())).unwrap();
        assert_eq!(echo(&channel).await.unwrap(), "hello", "{target}");
    }
    // By its address it shows a certificate for somebody else, unless that is who is meant.
    let target = format!("https://127.0.0.1:{port}");
    let status = refused(&target, with_tls(client.clone())).await;
    assert!(status.message.contains("localhost"), "{status}");
    let named = with_tls(client.server_name("localhost").unwrap());
    let channel = Channel::with_config(&target, named).unwrap();
    assert_eq!(echo(&channel).await.unwrap(), "hello");
}

#[tokio::test]
async fn p024_the_name_that_tls_expects_is_the_authority() {
    let (server, client) = tls("foo.example");
    let address = serve(Some(server)).await;
    let config = with_tls(client.server_name("foo.example").unwrap());
    let channel = Channel::with_config(&format!("https://{address}"), config).unwrap();
    let seen: Response<String> = channel
        .unary(path("Authority"), String::new())
        .await
        .unwrap();
    assert_eq!(seen.message, "foo.example");

    let address = serve(None).await;
    let config = ChannelConfig {
        authority: Some("bar.example:81".to_owned()),
        ..ChannelConfig::default()
    };
    let channel = Channel::with_config(&format!("http://{address}"), config).unwrap();
    let seen: Response<String> = channel
        .unary(path("Authority"), String::new())
        .await
        .unwrap();
    assert_eq!(seen.message, "bar.example:81");
}

#[tokio::test]
async fn a_server_that_is_not_trusted_is_not_called() {
    let (server, _) = tls("localhost");
    let address = serve(Some(server)).await;
    let (_, stranger) = tls("localhost");
    let target = format!("https://localhost:{}", address.port());
    let status = refused(&target, with_tls(stranger)).await;
    assert!(status.message.contains("no TLS with 127.0.0.1"), "{status}");
}

#[tokio::test]
async fn a_mismatch_of_tls_and_clear_text_names_the_remedy() {
    let (server, client) = tls("localhost");
    let secure = serve(Some(server)).await.port();
    let status = refused(
        &format!("http://localhost:{secure}"),
        ChannelConfig::default(),
    )
    .await;
    assert!(
        status
            .message
            .contains("the peer speaks TLS; connect with https://"),
        "{status}"
    );

    let plain = serve(None).await.port();
    let status = refused(
        &format!("https://localhost:{plain}"),
        with_tls(client.clone()),
    )
    .await;
    assert!(status.message.contains("no TLS with"), "{status}");

    let target = format!("http://localhost:{plain}");
    let status = Channel::with_config(&target, with_tls(client)).unwrap_err();
    assert!(status.message.contains("https://"), "{status}");
}

/// A listener that answers every connection with these bytes.
async fn answers(bytes: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut io, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut preface = [0; 24];
                io.read_exact(&mut preface).await.unwrap();
                io.write_all(bytes).await.unwrap();
                let _ = io.read_to_end(&mut Vec::new()).await;
            });
        }
    });
    address
}

#[tokio::test]
async fn what_is_no_grpc_server_is_told_by_its_first_bytes() {
    let http1 = answers(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n").await;
    let status = refused(&format!("http://{http1}"), ChannelConfig::default()).await;
    assert!(
        status.message.contains("the peer answered HTTP/1.1"),
        "{status}"
    );
    assert!(status.message.contains(&http1.to_string()), "{status}");

    let ssh = answers(b"SSH-2.0-OpenSSH_9.2\r\n").await;
    let status = refused(&format!("http://{ssh}"), ChannelConfig::default()).await;
    assert!(
        status.message.contains("not an HTTP/2 SETTINGS frame"),
        "{status}"
    );
}

/// Some servers of TLS close the connection to a client that speaks none, and have no alert for it.
#[tokio::test]
async fn a_server_that_goes_at_the_first_bytes_may_speak_tls() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = format!("http://{}", listener.local_addr().unwrap());
    for (resets, told) in [
        (
            false,
            "the peer closed the connection before it said anything",
        ),
        (
            true,
            "the peer reset the connection before it said anything",
        ),
    ] {
        let goes = async {
            let (mut io, _) = listener.accept().await.unwrap();
            if resets {
                // TCP does that where bytes are left unread.
                io.read_u8().await.unwrap();
            } else {
                io.shutdown().await.unwrap();
                let _ = io.read_to_end(&mut Vec::new()).await;
            }
        };
        let (status, ()) = tokio::join!(refused(&target, ChannelConfig::default()), goes);
        let remedy = "; if it speaks TLS, connect with https:// instead";
        assert!(
            status.message.ends_with(&(told.to_owned() + remedy)),
            "{status}"
        );
    }
}

#[tokio::test]
async fn a_closed_port_is_told_with_its_address() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let status = refused(&format!("http://{address}"), ChannelConfig::default()).await;
    assert!(
        status
            .message
            .contains(&format!("cannot connect to {address}")),
        "{status}"
    );
}

#[tokio::test]
async fn p202_a_proxy_is_asked_for_the_name_of_the_target() {
    let server = serve(None).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = listener.local_addr().unwrap();
    let proxied = tokio::spawn(async move {
        let (mut io, _) = listener.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(io.read_u8().await.unwrap());
        }
        io.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        let mut upstream = TcpStream::connect(server).await.unwrap();
        tokio::spawn(async move { copy_bidirectional(&mut io, &mut upstream).await });
        String::from_utf8(head).unwrap()
    });
    let config = ChannelConfig {
        proxy: Proxying::Through(Proxy::parse(&format!("http://{proxy}")).unwrap()),
        ..ChannelConfig::default()
    };
    let channel = Channel::with_config("http://no.such.host.example:50051", config).unwrap();
    assert_eq!(echo(&channel).await.unwrap(), "hello");
    let head = proxied.await.unwrap();
    assert!(
        head.starts_with("CONNECT no.such.host.example:50051 HTTP/1.1\r\n"),
        "{head}"
    );
}

struct Token;

impl Interceptor for Token {
    async fn before(&self, call: &mut CallStart) -> Result<(), Status> {
        call.metadata.insert("authorization", "Bearer secret")
    }
}

#[tokio::test]
async fn p243_credentials_go_over_tls_and_not_in_clear_text() {
    let (server, client) = tls("localhost");
    let secure = serve(Some(server)).await.port();
    let channel = Channel::with_config(&format!("localhost:{secure}"), with_tls(client)).unwrap();
    let channel = channel.intercept(Credentials::new(Token));
    assert_eq!(echo(&channel).await.unwrap(), "hello");

    let plain = serve(None).await.port();
    let channel = Channel::lazy(&format!("localhost:{plain}")).unwrap();
    let channel = channel.intercept(Credentials::new(Token));
    let status = echo(&channel).await.unwrap_err();
    assert_eq!(status.code, Code::Unauthenticated, "{status}");
}

#[tokio::test]
async fn a_configuration_that_contradicts_itself_is_refused_at_once() {
    let mut config = ChannelConfig::default();
    config.http2.stream_window = 1;
    let status = Channel::with_config("http://localhost:1", config).unwrap_err();
    assert_eq!(status.code, Code::Internal);
    assert!(status.message.contains("stream_window"), "{status}");
}

#[tokio::test]
async fn a_channel_finds_its_server_again_after_a_restart() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(Server::new().add(Probe::default()).serve(listener));
    let mut config = ChannelConfig::default();
    config.backoff.initial = Duration::from_millis(10);
    config.backoff.max = Duration::from_millis(50);
    config.wait_for_ready = true;
    let channel = Channel::with_config(&format!("http://{address}"), config).unwrap();
    assert_eq!(echo(&channel).await.unwrap(), "hello");
    server.abort();
    assert!(server.await.unwrap_err().is_cancelled());

    let listener = loop {
        // The port is ours again as soon as the system has let go of it.
        match TcpListener::bind(address).await {
            Ok(listener) => break listener,
            Err(_) => tokio::task::yield_now().await,
        }
    };
    tokio::spawn(Server::new().add(Probe::default()).serve(listener));
    assert_eq!(echo(&channel).await.unwrap(), "hello");
}

#[tokio::test]
async fn p243_a_resolver_of_ones_own_may_lead_out_of_this_machine() {
    let address = serve(None).await;
    let config = ChannelConfig {
        resolver: Some(Arc::new(Fixed::new([Address::Tcp(address)]))),
        ..ChannelConfig::default()
    };
    let channel = Channel::with_config("unix:/nowhere", config).unwrap();
    assert_eq!(echo(&channel).await.unwrap(), "hello");
    let channel = channel.intercept(Credentials::new(Token));
    let status = echo(&channel).await.unwrap_err();
    assert_eq!(status.code, Code::Unauthenticated, "{status}");
}

#[tokio::test]
async fn p202_a_resolver_of_ones_own_is_asked_also_behind_a_proxy() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = format!("http://{}", listener.local_addr().unwrap());
    let somewhere = Address::Tcp("192.0.2.1:50051".parse().unwrap());
    let config = ChannelConfig {
        proxy: Proxying::Through(Proxy::parse(&proxy).unwrap()),
        resolver: Some(Arc::new(Fixed::new([somewhere]))),
        ..ChannelConfig::default()
    };
    let channel = Channel::with_config("dns:///service.test", config).unwrap();
    channel.connect_now();
    let (mut io, _) = listener.accept().await.unwrap();
    let mut asked = [0; 33];
    io.read_exact(&mut asked).await.unwrap();
    assert_eq!(&asked, b"CONNECT 192.0.2.1:50051 HTTP/1.1\r");
}
