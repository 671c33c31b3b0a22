//! `client::proxy`: P202, against a proxy that is written by hand.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;

use barewire::faults::{Faults, FaultyIo, OneWay};
use barewire::proxy::{Proxy, ProxyDialer, ProxyError, Proxying};
use barewire::{Address, ByteStream, Dialer, Dialing, Target};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::net::{TcpListener, TcpStream};

use crate::tokio;

/// Which proxy leads to a target in an environment of these variables.
fn chosen(variables: &[(&str, &str)], target: &str) -> Result<Option<String>, ProxyError> {
    let variable = |wanted: &str| {
        let mut variables = variables.iter();
        let found = variables.find(|(name, _)| *name == wanted);
        found.map(|(_, value)| (*value).to_owned())
    };
    let target = Target::parse(target).unwrap();
    let proxy = Proxying::Environment.proxy_for(&target, variable)?;
    Ok(proxy.map(|proxy| proxy.to_string()))
}

#[test]
#[rustfmt::skip]
fn p202_the_first_variable_that_is_set_names_the_proxy() {
    let cases: &[(&[(&str, &str)], Option<&str>)] = &[
        (&[],                                                                None),
        (&[("grpc_proxy", "http://a:1"), ("https_proxy", "http://b:1")],     Some("a:1")),
        (&[("https_proxy", "http://b:1"), ("http_proxy", "http://c:1")],     Some("b:1")),
        (&[("HTTPS_PROXY", "http://b:1"), ("http_proxy", "http://c:1")],     Some("b:1")),
        (&[("https_proxy", "http://b:1"), ("HTTPS_PROXY", "http://c:1")],    Some("b:1")),
        (&[("http_proxy", "http://c:1")],                                    Some("c:1")),
        (&[("HTTP_PROXY", "http://c:1")],                                    None),           // may be a client's header
        (&[("GRPC_PROXY", "http://a:1")],                                    None),
        (&[("ALL_PROXY", "http://a:1")],                                     None),
        (&[("grpc_proxy", ""), ("https_proxy", "http://b:1")],               None),           // set, to none
        (&[("grpc_proxy", "http://a")],                                      Some("a:443")),
        (&[("grpc_proxy", "a:3128")],                                        Some("a:3128")),
        (&[("grpc_proxy", "HTTP://a:3128/")],                                Some("a:3128")),
        (&[("grpc_proxy", "http://me:secret@[::1]:3128")],                   Some("[::1]:3128")),
        (&[("grpc_proxy", "http://a:1"), ("no_proxy", "foo.example")],       None),
        (&[("grpc_proxy", "http://a:1"), ("NO_PROXY", "foo.example")],       None),
        (&[("grpc_proxy", "http://a:1"), ("no_grpc_proxy", "foo.example")],  None),
        (&[("grpc_proxy", "http://a:1"), ("no_grpc_proxy", ""), ("no_proxy", "*")], Some("a:1")),  // set, to none
        (&[("grpc_proxy", "http://a:1"), ("no_proxy", "bar"), ("NO_PROXY", "*")],   Some("a:1")),
    ];
    for (variables, proxy) in cases {
        let found = chosen(variables, "https://foo.example").unwrap();
        assert_eq!(found.as_deref(), *proxy, "{variables:?}");
    }
}

#[test]
#[rustfmt::skip]
fn p202_no_proxy_lists_hosts_addresses_and_networks() {
    let cases = [
        // no_proxy                     target                         goes directly
        ("",                            "foo.example:1",               false),
        ("*",                           "foo.example:1",               true),
        ("example",                     "foo.example:1",               true),     // all below it
        ("foo.example",                 "foo.example:1",               true),     // and itself
        ("foo.example",                 "https://FOO.example",         true),     // names have no case
        ("FOO.example",                 "foo.example.:1",              true),     // nor a dot at the end
        ("foo.example.",                "foo.example:1",               true),
        ("oo.example",                  "foo.example:1",               false),    // names end at dots
        (".foo.example",                "foo.example:1",               false),    // only below it
        (".example",                    "foo.example:1",               true),
        ("*.example",                   "foo.example:1",               true),
        ("*.foo.example",               "foo.example:1",               false),
        ("foo.example",                 "example:1",                   false),
        ("a, foo.example ,b",           "foo.example:1",               true),
        ("a b\tfoo.example",            "foo.example:1",               true),
        (",,a,,",                       "foo.example:1",               false),
        (".",                           "foo.example:1",               false),
        ("foo.example:1",               "foo.example:1",               true),
        ("foo.example:2",               "foo.example:1",               false),
        ("foo.example:443",             "https://foo.example",         true),     // the port that is meant
        ("example:1",                   "foo.example:1",               true),
        ("10.1.2.3",                    "10.1.2.3:1",                  true),
        ("10.1.2.3",                    "10.1.2.4:1",                  false),
        ("2.3",                         "10.1.2.3:1",                  false),    // no end of a name
        ("10.1.2.3:1",                  "10.1.2.3:1",                  true),
        ("10.1.2.3:2",                  "10.1.2.3:1",                  false),
        ("10.0.0.0/8",                  "10.1.2.3:1",                  true),
        ("10.9.9.9/8",                  "10.1.2.3:1",                  true),     // bits behind the length mean nothing
        ("10.0.0.0/16",                 "10.1.2.3:1",                  false),
        ("10.1.2.3/32",                 "10.1.2.3:1",                  true),
        ("10.1.2.2/32",                 "10.1.2.3:1",                  false),
        ("0.0.0.0/0",                   "10.1.2.3:1",                  true),
        ("10.0.0.0/33",                 "10.1.2.3:1",                  false),
        ("10.0.0.0/",                   "10.1.2.3:1",                  false),
        ("10.0.0.0/8",                  "foo.example:1",               false),
        ("2001:db8::1",                 "[2001:db8::1]:1",             true),
        ("2001:db8:0:0:0:0:0:1",        "[2001:db8::1]:1",             true),
        ("[2001:db8::1]:1",             "[2001:db8::1]:1",             true),
        ("[2001:db8::1]:2",             "[2001:db8::1]:1",             false),
        ("2001:db8::/32",               "[2001:db8::1]:1",             true),
        ("2001:db9::/32",               "[2001:db8::1]:1",             false),
        ("2001:db8::/129",              "[2001:db8::1]:1",             false),
        ("::/0",                        "10.1.2.3:1",                  false),
        ("10.1.2.3",                    "[::ffff:10.1.2.3]:1",         true),     // the same address
        ("10.0.0.0/8",                  "ipv4:10.1.2.3:1,10.1.2.4:1",  true),
        ("10.1.2.3",                    "ipv4:10.1.2.3:1,10.1.2.4:1",  false),    // not all of them
        ("foo",                         "passthrough:///foo:1",        true),
        ("foo",                         "passthrough:///f:o:o",        false),
    ];
    for (list, target, direct) in cases {
        let variables = [("https_proxy", "http://proxy:1"), ("no_proxy", list)];
        let found = chosen(&variables, target).unwrap();
        assert_eq!(found.is_none(), direct, "{list:?} {target}");
    }
}

#[test]
#[rustfmt::skip]
fn p202_this_machine_is_behind_a_proxy_only_if_asked() {
    let cases = [
        // target                      asked
        ("http://localhost:1",         true),
        ("http://LocalHost.:1",        true),
        ("db.localhost:1",             true),
        ("127.0.0.1:1",                true),
        ("127.9.9.9:1",                true),
        ("0.0.0.0:1",                  true),
        ("[::1]:1",                    true),
        ("[::ffff:127.0.0.1]:1",       true),
        ("ipv6:[::1]:1",               true),
        ("unix:/run/grpc.sock",        false),     // no proxy leads there
        ("unix-abstract:grpc",         false),
    ];
    let proxy = Proxy::parse("http://proxy:1").unwrap();
    for (target, asked) in cases {
        assert_eq!(chosen(&[("https_proxy", "http://proxy:1")], target), Ok(None), "{target}");
        let target = Target::parse(target).unwrap();
        let through = Proxying::Through(proxy.clone()).proxy_for(&target, |_| None);
        assert_eq!(through, Ok(asked.then(|| proxy.clone())), "{target:?}");
        assert_eq!(Proxying::Direct.proxy_for(&target, |_| Some("proxy".to_owned())), Ok(None));
    }
    assert_eq!(chosen(&[("https_proxy", "http://proxy:1")], "localhost.example:1"), Ok(Some("proxy:1".to_owned())));
}

#[test]
#[rustfmt::skip]
fn p202_a_variable_that_names_no_proxy_is_an_error_where_it_counts() {
    let cases = [
        ("socks5://p:1080",         "https_proxy \"socks5://p:1080\" has the scheme \"socks5\", and only http is spoken to proxies; write http://host:port"),
        ("https://me:secret@p",     "https_proxy \"https://…@p\" has the scheme \"https\", and only http is spoken to proxies; write http://host:port"),
        ("http://",                 "https_proxy \"http://\" has no host; write localhost for this machine"),
        ("http://p:0",              "https_proxy \"http://p:0\" has port \"0\"; a port is 1 to 65535"),
        ("http://p/path",           "https_proxy \"http://p/path\" has '/' in its host; a host is letters, digits, '-', '.' and '_'"),
        ("me:secret@p:x",           "https_proxy \"…@p:x\" has port \"x\"; a port is 1 to 65535"),
        ("me:secret://@p:x",        "https_proxy \"…@p:x\" has port \"x\"; a port is 1 to 65535"),
    ];
    for (url, text) in cases {
        let variables = [("https_proxy", url), ("no_proxy", "bar.example")];
        let error = chosen(&variables, "foo.example:1").unwrap_err();
        assert_eq!(error.to_string(), text);
        assert_eq!(chosen(&variables, "bar.example:1"), Ok(None), "{url}");
        assert_eq!(chosen(&variables, "localhost:1"), Ok(None), "{url}");
    }
}

/// A proxy at the other end of a pipe.
fn pipe() -> (DuplexStream, DuplexStream) {
    tokio::io::duplex(64 * 1024)
}

/// Reads a request head up to its empty line.
async fn read_head(io: &mut (impl ByteStream + ?Sized)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(io.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

/// What comes of asking a proxy at this URL for a tunnel if it answers like this.
async fn ask(url: &str, answer: &[u8]) -> (String, io::Result<(DuplexStream, DuplexStream)>) {
    let (near, mut far) = pipe();
    far.write_all(answer).await.unwrap();
    let proxy = Proxy::parse(url).unwrap();
    let (request, tunnel) = tokio::join!(
        async {
            let request = read_head(&mut far).await;
            far.shutdown().await.unwrap();
            request
        },
        proxy.connect_through(near, "foo.example:50051"),
    );
    (request, tunnel.map(|near| (near, far)))
}

#[tokio::test(start_paused = true)]
#[rustfmt::skip]
async fn p202_the_request_is_http1_and_carries_credentials() {
    let plain = "CONNECT foo.example:50051 HTTP/1.1\r\nhost: foo.example:50051\r\n\r\n";
    let with = |credentials: &str| format!(
        "CONNECT foo.example:50051 HTTP/1.1\r\nhost: foo.example:50051\r\nproxy-authorization: Basic {credentials}\r\n\r\n"
    );
    let cases = [
        ("http://p:1",                   plain.to_owned()),
        ("http://user:password@p:1",     with("dXNlcjpwYXNzd29yZA==")),
        ("user:password@p:1",            with("dXNlcjpwYXNzd29yZA==")),
        ("http://user@p:1",              with("dXNlcjo=")),              // the colon is part of the form
        ("http://us%40er:p%3Aw@p:1",     with("dXNAZXI6cDp3")),
        ("http://user:p@ss/w?#d@p:1",    with("dXNlcjpwQHNzL3c/I2Q=")),
    ];
    for (url, expected) in cases {
        let (request, tunnel) = ask(url, b"HTTP/1.1 200 OK\r\n\r\n").await;
        assert_eq!(request, expected, "{url}");
        assert!(tunnel.is_ok(), "{url}");
    }
}

#[tokio::test(start_paused = true)]
#[rustfmt::skip]
async fn p202_not_a_byte_behind_the_answer_is_lost() {
    let heads: &[&[u8]] = &[
        b"HTTP/1.1 200 Connection established\r\n\r\n",
        b"HTTP/1.0 200\r\nVia: 1.1 proxy\r\n\r\n",
        b"HTTP/1.1 204 \r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",   // of no meaning here
        b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\n\n",                                                          // bare LF
        b"HTTP/1.1 200 OK\nVia: x\r\n\n",
        b"HTTP/1.1 200 OK\r\nVia: x\n\r\n",
    ];
    for head in heads {
        for rest in [&b""[..], b"\r\n\r\nx", b"\n", b"\0\0\x06\x04\0\0\0\0\0\0\x03\0\0\0\x64"] {
            let (_, tunnel) = ask("http://p:1", &[head, rest].concat()).await;
            let (mut near, mut far) = tunnel.unwrap();
            let mut bytes = Vec::new();
            near.read_to_end(&mut bytes).await.unwrap();
            assert_eq!(bytes, rest, "{}", head.escape_ascii());
            near.write_all(b"on").await.unwrap();
            let mut bytes = [0; 2];
            far.read_exact(&mut bytes).await.unwrap();
            assert_eq!(&bytes, b"on");
        }
    }
}

#[tokio::test(start_paused = true)]
#[rustfmt::skip]
async fn p202_an_answer_that_is_no_success_is_told() {
    let endless = [&b"HTTP/1.1 200 OK\r\n"[..], &b"x: y\r\n".repeat(2_000)].concat();
    let informed = b"HTTP/1.1 100 Continue\r\n\r\n".repeat(1_000);
    let cases: &[(&[u8], ErrorKind, &str)] = &[
        (b"HTTP/1.1 403 Forbidden\r\n\r\n",       ErrorKind::Other,         "proxy p:1 makes no tunnel to foo.example:50051: HTTP/1.1 403 Forbidden"),
        (b"HTTP/1.1 407 No\r\nA: b\r\n\r\nbody",  ErrorKind::Other,         "proxy p:1 makes no tunnel to foo.example:50051: HTTP/1.1 407 No; it wants credentials, as in http://user:password@host:port"),
        (b"HTTP/1.1 301 \x1b[31m\r\n\r\n",        ErrorKind::Other,         "proxy p:1 makes no tunnel to foo.example:50051: HTTP/1.1 301 \\x1b[31m"),
        (b"HTTP/1.1 101 Upgrade\r\n\r\n",         ErrorKind::Other,         "proxy p:1 makes no tunnel to foo.example:50051: HTTP/1.1 101 Upgrade"),
        (b"HTTP/1.1 2000 OK\r\n\r\n",             ErrorKind::InvalidData,   "proxy p:1: its answer has no status: \"HTTP/1.1 2000 OK\""),
        (b"HTTP/1.1 +20 OK\r\n\r\n",              ErrorKind::InvalidData,   "proxy p:1: its answer has no status: \"HTTP/1.1 +20 OK\""),
        (b"HTTP/1.1\r\n\r\n",                     ErrorKind::InvalidData,   "proxy p:1: its answer has no status: \"HTTP/1.1\""),
        (b"\x15\x03\x01\0\x02\x02\x16",           ErrorKind::InvalidData,   "proxy p:1: it does not answer in HTTP/1: \"\\x15\""),
        (b"HTTP/2 200 OK\r\n\r\n",                ErrorKind::InvalidData,   "proxy p:1: it does not answer in HTTP/1: \"HTTP/2\""),
        (b"",                                     ErrorKind::UnexpectedEof, "proxy p:1: it closed the connection and made no tunnel"),
        (b"HTTP/1.1 200 OK\r\n",                  ErrorKind::UnexpectedEof, "proxy p:1: it closed the connection and made no tunnel"),
        (&endless,                                ErrorKind::InvalidData,   "proxy p:1: its answer does not end: \"HTTP/1.1 200 OK\\r\\nx: y\\r\\n"),
        (&informed,                               ErrorKind::InvalidData,   "proxy p:1: its answer does not end: \"HTTP/1.1 100"),
    ];
    for (answer, kind, text) in cases {
        let (_, tunnel) = ask("http://me:secret@p:1", answer).await;
        let error = tunnel.unwrap_err();
        assert!(error.to_string().starts_with(text), "{error}");
        assert_eq!(error.kind(), *kind, "{error}");
        assert!(error.to_string().len() < 300, "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn p202_a_name_cannot_put_lines_into_the_request() {
    let proxy = Proxy::parse("http://p:1").unwrap();
    for name in ["a:1\r\nx: y", "a b:1", "ä:1", "a\n:1"] {
        let (near, mut far) = pipe();
        let error = proxy.connect_through(near, name).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{name}");
        let mut bytes = Vec::new();
        far.read_to_end(&mut bytes).await.unwrap();
        assert!(bytes.is_empty(), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn p202_an_exchange_that_dribbles_comes_to_its_end() {
    let dribble = OneWay {
        at_most: Some(1),
        ..OneWay::default()
    };
    let (near, mut far) = pipe();
    let near = FaultyIo::new(
        near,
        Faults {
            inbound: dribble.clone(),
            outbound: dribble,
        },
    );
    far.write_all(b"HTTP/1.1 200 OK\r\n\r\nrest").await.unwrap();
    let proxy = Proxy::parse("http://p:1").unwrap();
    let mut tunnel = proxy.connect_through(near, "a:1").await.unwrap();
    let mut rest = [0; 4];
    tunnel.read_exact(&mut rest).await.unwrap();
    assert_eq!(&rest, b"rest");
}

#[test]
fn a_password_is_not_shown() {
    let proxy = Proxy::parse("http://me:secret@p:1").unwrap();
    let credentials = "bWU6c2VjcmV0";
    let shown = format!("{proxy} {proxy:?} {:?}", Proxying::Through(proxy.clone()));
    assert!(
        !shown.contains("secret") && !shown.contains(credentials),
        "{shown}"
    );
}

/// Dials TCP as it is told.
struct Tcp;

impl Dialer for Tcp {
    fn dial<'a>(&'a self, address: &'a Address) -> Dialing<'a> {
        Box::pin(async move {
            match address {
                Address::Tcp(address) => {
                    let io: Box<dyn ByteStream> = Box::new(TcpStream::connect(address).await?);
                    Ok(io)
                }
                other => Err(io::Error::other(format!("dialled {other}"))),
            }
        })
    }
}

/// A proxy on this machine that makes one tunnel to `upstream`, whatever it is asked for. Yields the
/// first line of what it was asked.
async fn serve_one(listener: TcpListener, upstream: SocketAddr) -> String {
    let (mut io, _) = listener.accept().await.unwrap();
    let head = read_head(&mut io).await;
    let mut upstream = TcpStream::connect(upstream).await.unwrap();
    io.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
    tokio::io::copy_bidirectional(&mut io, &mut upstream)
        .await
        .unwrap();
    head.lines().next().unwrap().to_owned()
}

#[tokio::test]
#[rustfmt::skip]
async fn p202_a_dialer_goes_through_the_proxy_which_resolves_the_name() {
    let cases = [
        (Address::Named("nobody.invalid:50051".to_owned()),    "CONNECT nobody.invalid:50051 HTTP/1.1"),
        (Address::Named("nobody.invalid".to_owned()),          "CONNECT nobody.invalid:443 HTTP/1.1"),
        (Address::Tcp("192.0.2.1:50051".parse().unwrap()),     "CONNECT 192.0.2.1:50051 HTTP/1.1"),
        (Address::Tcp("[2001:db8::1]:50051".parse().unwrap()), "CONNECT [2001:db8::1]:50051 HTTP/1.1"),
    ];
    for (address, line) in cases {
        let upstream = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let proxy = tokio::spawn(serve_one(listener, upstream.local_addr().unwrap()));
        // Found by its name, and perhaps at the second of its addresses.
        let dialer = ProxyDialer {
            proxy: Proxy::parse(&format!("http://localhost:{port}")).unwrap(),
            dialer: Arc::new(Tcp),
        };
        let mut io = dialer.dial(&address).await.unwrap();
        let (mut server, _) = upstream.accept().await.unwrap();
        server.write_all(b"first").await.unwrap();
        let mut bytes = [0; 5];
        io.read_exact(&mut bytes).await.unwrap();
        assert_eq!(&bytes, b"first");
        drop((io, server));
        assert_eq!(proxy.await.unwrap(), line);
    }
}

#[tokio::test]
async fn p202_unix_sockets_are_dialled_directly() {
    let dialer = ProxyDialer {
        proxy: Proxy::parse("http://nobody.invalid:1").unwrap(),
        dialer: Arc::new(Tcp),
    };
    let address = Address::Unix("a/b".into());
    let error = dialer.dial(&address).await.err().unwrap();
    assert_eq!(error.to_string(), "dialled unix:a/b");
}

#[tokio::test]
async fn p202_a_proxy_that_is_not_there_is_told_from_a_server_that_is_not() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let dialer = ProxyDialer {
        proxy: Proxy::parse(&format!("http://127.0.0.1:{port}")).unwrap(),
        dialer: Arc::new(Tcp),
    };
    let address = Address::Named("foo:1".to_owned());
    let error = dialer.dial(&address).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    let start = format!("proxy 127.0.0.1:{port}: ");
    assert!(error.to_string().starts_with(&start), "{error}");
}
