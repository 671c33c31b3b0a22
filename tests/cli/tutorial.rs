//! The tutorials' clients, each against `barewire serve`, line by line.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::mpsc::Receiver;

use barewire::Server;

use crate::identity::Identity;
use crate::process::{BAREWIRE, Serving, file, lines, run};
use crate::support::PATIENCE;
use crate::tokio;

const NAMES: [&str; 9] = [
    "greeter",
    "multi-greeter",
    "greet",
    "numbers",
    "sums",
    "chat",
    "route-guide",
    "hello",
    "contact",
];

fn tutorial(arguments: &[&str]) -> Output {
    run(&[&["tutorial"], arguments].concat())
}

/// What a client prints that comes to its end.
fn printed(name: &str, address: &str, flags: &[&str]) -> String {
    let output = tutorial(&[&[name, address], flags].concat());
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), &*error), (Some(0), ""), "{name}");
    String::from_utf8(output.stdout).unwrap()
}

/// The one sentence of a client that fails.
fn sentence(arguments: &[&str]) -> String {
    let output = tutorial(arguments);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}");
    let text = String::from_utf8(output.stderr).unwrap();
    let line = text.strip_prefix("error: ").unwrap().strip_suffix('\n');
    let line = line.unwrap();
    assert!(!line.contains(['\n', '\x1b']), "more than a line: {text}");
    line.to_owned()
}

/// An address where nobody listens. Until it is let go, nobody else can.
fn closed_port() -> (socket2::Socket, String) {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    let any: std::net::SocketAddr = "127.0.0.1:0".parse().unwrap();
    socket.bind(&any.into()).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    (socket, address.to_string())
}

#[test]
#[rustfmt::skip]
fn clients_print_what_those_of_the_tutorials_print() {
    let serving = Serving::on_a_free_port(&[]);
    let address = &serving.addresses[0].to_string();
    let ten = |line: &str| (0..10).map(|number| line.replace('#', &number.to_string())).collect::<String>();
    let cases: &[(&str, &[&str], String)] = &[
        ("greeter",       &[],                 "Will try to greet world ...\nGreeter client received: Hello, you!\n".into()),
        ("greeter",       &["--name", "世界"], "Will try to greet world ...\nGreeter client received: Hello, 世界!\n".into()),
        ("greeter",       &["--all"],          "Will try to greet world ...\nGreeter client received: Hello, you!\nGreeter client received: Hello again, you!\n".to_owned()
                                                + &ten("Greeter client received: Hello number #, you!\n")
                                                + &"Greeter client received: Hello, you!\n".repeat(3)),
        ("multi-greeter", &[],                 ten("Greeter client received from async generator: Hello number #, you!\n")
                                                + &ten("Greeter client received from direct read: Hello number #, you!\n")),
        ("greet",         &[],                 "Greeter client received: Hello, world!\n".into()),
        ("greet",         &["--name", "you"],  "Greeter client received: Hello, you!\n".into()),
        ("numbers",       &[],                 ten("Received number:  #\n")),
        ("sums",          &[],                 "Sum:  15\n".into()),
        ("chat",          &[],                 "Received:  You said: Hello\nReceived:  You said: How are you?\nReceived:  You said: Goodbye\n".into()),
        ("hello",         &[],                 "name: \"北京\"\nlocation {\n  latitude: 39.92\n  longitude: 116.46\n}\n\n".to_owned()
                                                + &ten("name: \"Beijing-Shanghai\"\nlocation {\n  latitude: 1\n  longitude: 2\n}\n\n")
                                                + "point_count: 1\nfeature_count: 2\ndistance: 3\nelapsed_time: 4\n\n"
                                                + &ten("location {\n  latitude: 1\n  longitude: 2\n}\nmessage: \"good job!\"\n\n")),
    ];
    for (name, flags, expected) in cases {
        assert_eq!(printed(name, address, flags), *expected, "{name} {flags:?}");
    }
}

#[test]
fn the_route_guide_s_client_walks_its_four_calls() {
    let json = br#"[
        {"location": {"latitude": 409146138, "longitude": -746188906}, "name": "Berkshire Valley"},
        {"location": {"latitude": 404434000, "longitude": -749668000}, "name": "Green Sergeant's Bridge"},
        {"location": {"latitude": 390000000, "longitude": -740000000}, "name": "too far south"},
        {"location": {"latitude": 411733222, "longitude": -744228360}, "name": ""}
    ]"#;
    let path = file("tutorial-places.json", json);
    let serving = Serving::on_a_free_port(&["--route-db", path.to_str().unwrap()]);
    let text = printed("route-guide", &serving.addresses[0].to_string(), &[]);
    let (before, rest) = text
        .split_once("-------------- RecordRoute --------------\n")
        .unwrap();
    let (route, after) = rest
        .split_once("-------------- RouteChat --------------\n")
        .unwrap();
    assert_eq!(
        before,
        "\
-------------- GetFeature --------------
Feature called 'Berkshire Valley' at latitude: 409146138, longitude: -746188906
Found no feature at latitude: 0, longitude: 0
-------------- ListFeatures --------------
Looking for features between 40, -75 and 42, -73
Feature called 'Berkshire Valley' at latitude: 409146138, longitude: -746188906
Feature called \"Green Sergeant's Bridge\" at latitude: 404434000, longitude: -749668000
Feature called '' at latitude: 411733222, longitude: -744228360
"
    );
    assert_eq!(
        after,
        "\
Sending First message at latitude: 0, longitude: 0
Sending Second message at latitude: 0, longitude: 1
Sending Third message at latitude: 1, longitude: 0
Sending Fourth message at latitude: 0, longitude: 0
Sending Fifth message at latitude: 1, longitude: 0
Received message First message at latitude: 0, longitude: 0
Received message Third message at latitude: 1, longitude: 0
"
    );

    let listed = [
        "latitude: 409146138, longitude: -746188906",
        "latitude: 404434000, longitude: -749668000",
        "latitude: 411733222, longitude: -744228360",
    ];
    let mut route: Vec<&str> = route.lines().collect();
    let summary = route.split_off(10);
    for line in route {
        let place = line.strip_prefix("Visiting point ").unwrap();
        assert!(listed.contains(&place), "{line}");
    }
    let [points, features, distance, time] = summary[..] else {
        panic!("{summary:?}");
    };
    assert_eq!(
        [points, features],
        ["Finished trip with 10 points ", "Passed 10 features "]
    );
    number_in(distance, "Travelled ", " meters ");
    number_in(time, "It took ", " seconds ");
}

fn number_in(line: &str, start: &str, end: &str) -> u32 {
    let rest = line.strip_prefix(start).unwrap();
    rest.strip_suffix(end).unwrap().parse().unwrap()
}

#[test]
fn a_client_of_contact_leaves_after_as_many_tasks_as_it_was_told() {
    // More tasks than a burst has.
    let serving = Serving::on_a_free_port(&["--task-interval", "0.05"]);
    let text = printed(
        "contact",
        &serving.addresses[0].to_string(),
        &["--count", "12"],
    );
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 15 + 2 * 12, "{text}");
    for line in &lines[..15] {
        let number = number_in(line, "服务端接收到消息:数据:", "");
        assert!((1..=20).contains(&number), "{line}");
    }
    for pair in lines[15..].chunks(2) {
        let number = number_in(pair[0], "客户端已接收到服务端任务：任务:", "");
        assert!((100..=200).contains(&number), "{pair:?}");
        assert_eq!(pair[1], "");
    }
    let mut log = serving.stop();
    log.sort();
    let [tasks, statuses, results] = &log[..] else {
        panic!("{log:?}");
    };
    assert!(tasks.starts_with("/Contact/getTask CANCELLED "), "{tasks}");
    assert!(
        statuses.starts_with("/Contact/sendStatus OK ") && statuses.contains(" in 15 msg "),
        "{statuses}"
    );
    assert!(
        results.starts_with("/Contact/tellResult OK ") && results.contains(" in 12 msg "),
        "{results}"
    );
}

/// A client at work.
struct Client {
    child: std::process::Child,
    stdout: Receiver<String>,
}

impl Client {
    fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(BAREWIRE)
            .arg("tutorial")
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = lines(child.stdout.take().unwrap());
        Self { child, stdout }
    }

    fn wait_for(&self, start: &str) {
        while !self
            .stdout
            .recv_timeout(PATIENCE)
            .unwrap()
            .starts_with(start)
        {}
    }

    fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.child.id());
        assert!(
            Command::new("sh")
                .args(["-c", &kill])
                .status()
                .unwrap()
                .success()
        );
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_client_of_contact_leaves_at_a_signal_and_says_so_to_the_server() {
    for signal in ["INT", "TERM"] {
        let serving = Serving::on_a_free_port(&[]);
        let mut client = Client::start(&["contact", &serving.addresses[0].to_string()]);
        for _ in 0..10 {
            client.wait_for("客户端已接收到服务端任务：任务:");
        }
        client.signal(signal);
        assert_eq!(client.child.wait().unwrap().code(), Some(0), "{signal}");
        let log = serving.stop();
        let calls = |start| log.iter().filter(|line| line.starts_with(start)).count();
        assert_eq!(calls("/Contact/getTask CANCELLED "), 1, "{log:?}");
        assert_eq!(calls("/Contact/tellResult OK "), 1, "{log:?}");
    }
}

#[test]
fn a_client_of_contact_finds_its_server_again() {
    let serving = Serving::on_a_free_port(&[]);
    let address = serving.addresses[0].to_string();
    let client = Client::start(&["contact", &address]);
    client.wait_for("客户端已接收到服务端任务：任务:");
    serving.stop();
    client.wait_for("server connected out, please retry:StatusCode.UNAVAILABLE,");
    let _again = Serving::start(&["--addr", &address]);
    client.wait_for("客户端已接收到服务端任务：任务:");
}

#[test]
fn flags_say_how_to_call() {
    let serving = Serving::on_a_free_port(&[]);
    let address = &serving.addresses[0].to_string();
    let name = "x".repeat(10_000);
    let expected =
        format!("Will try to greet world ...\nGreeter client received: Hello, {name}!\n");
    let flags = ["--gzip", "--timeout", "20", "--name", &name];
    assert_eq!(printed("greeter", address, &flags), expected);
    let log = serving.stop();
    let (_, size) = log[0].split_once(" in 1 msg ").unwrap();
    let bytes: u32 = size.split_once(" B ").unwrap().0.parse().unwrap();
    assert!(bytes < 200, "{log:?}");
}

#[test]
fn an_address_may_be_any_target() {
    let serving = Serving::on_a_free_port(&[]);
    let address = serving.addresses[0];
    let localhost = format!("localhost:{}", address.port());
    for target in [address.to_string(), format!("http://{address}"), localhost] {
        assert_eq!(printed("sums", &target, &[]), "Sum:  15\n", "{target}");
    }
}

#[test]
fn a_closed_port_is_told_with_what_to_try() {
    let (_closed, address) = closed_port();
    for name in NAMES {
        assert_eq!(
            sentence(&[name, &address]),
            format!(
                "cannot connect to {address}: Connection refused; check that a server listens at \
                 {address}, or start one: barewire serve"
            ),
            "{name}"
        );
    }
}

#[test]
fn of_several_closed_ports_the_last_is_told_with_what_to_try() {
    let ((_closed, one), (_too, other)) = (closed_port(), closed_port());
    let target = format!("ipv4:{one},{other}");
    let line = sentence(&["chat", &target]);
    let end = format!("; check that a server listens at {target}, or start one: barewire serve");
    assert!(line.ends_with(&end), "{line}");
}

#[test]
fn a_target_that_is_none_is_told_what_is_wrong() {
    assert_eq!(
        sentence(&["chat", "localhost:chat"]),
        "target \"localhost:chat\" has port \"chat\"; a port is 1 to 65535"
    );
}

/// The path as flags have it.
fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn tls_is_spoken_as_target_and_flags_say() {
    let identity = Identity::new("tutorial");
    let serving = Serving::on_a_free_port(&identity.flags());
    let address = serving.addresses[0];
    let localhost = format!("localhost:{}", address.port());
    let ca = ["--ca", text(&identity.certificate)];
    for target in [&localhost, &format!("https://{localhost}")] {
        assert_eq!(printed("sums", target, &ca), "Sum:  15\n", "{target}");
    }
    // The certificate is for localhost alone.
    let named = [&ca[..], &["--server-name", "localhost"]].concat();
    let address = &address.to_string();
    assert_eq!(printed("sums", address, &named), "Sum:  15\n");
    let line = sentence(&[&["sums", address], &ca[..]].concat());
    assert!(
        line.contains("not for 127.0.0.1") && line.contains("--server-name"),
        "{line}"
    );
    // Nobody has signed it but itself.
    let line = sentence(&["sums", &format!("https://{localhost}")]);
    assert!(line.contains("--ca"), "{line}");
}

#[test]
fn a_client_shows_the_certificate_of_its_flags() {
    let (server, client) = (
        Identity::new("tutorial-server"),
        Identity::new("tutorial-client"),
    );
    let ca = ["--tls-client-ca", text(&client.certificate)];
    let serving = Serving::on_a_free_port(&[&server.flags()[..], &ca].concat());
    let target = format!("localhost:{}", serving.addresses[0].port());
    let ca = ["--ca", text(&server.certificate)];
    let line = sentence(&[&["sums", &target], &ca[..]].concat());
    assert!(line.contains("--cert and --key"), "{line}");
    let pair = [
        "--cert",
        text(&client.certificate),
        "--key",
        text(&client.key),
    ];
    let line = sentence(&[&["sums", &target], &ca[..], &pair[..2]].concat());
    assert!(
        line.starts_with("--cert is given without --key: "),
        "{line}"
    );
    let flags = [&ca[..], &pair].concat();
    assert_eq!(printed("sums", &target, &flags), "Sum:  15\n");
}

#[test]
fn who_speaks_tls_to_clear_text_or_the_reverse_is_told_what_to_try() {
    let identity = Identity::new("tutorial-clear");
    let with_tls = Serving::on_a_free_port(&identity.flags());
    let line = sentence(&["greeter", &with_tls.addresses[0].to_string()]);
    assert!(line.contains("https://"), "{line}");

    let clear = Serving::on_a_free_port(&[]);
    let localhost = format!("localhost:{}", clear.addresses[0].port());
    let ca = ["--ca", text(&identity.certificate)];
    let line = sentence(&[&["greeter", &localhost], &ca[..]].concat());
    assert!(line.contains("http://"), "{line}");

    let target = format!("http://{localhost}");
    assert_eq!(
        sentence(&[&["greeter", &target], &ca[..]].concat()),
        format!(
            "target \"{target}\" asks for clear text, but the channel is given TLS; write https:// \
             instead"
        )
    );
}

#[test]
fn a_server_that_is_silent_is_left_at_the_deadline() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap().to_string();
    let line = sentence(&["numbers", &address, "--timeout", "0.1"]);
    assert!(line.ends_with("; wait longer with --timeout"), "{line}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_of_something_else_is_told_with_what_to_try() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(Server::new().serve(listener));
    let line = tokio::task::spawn_blocking({
        let address = address.clone();
        move || sentence(&["sums", &address])
    });
    let line = line.await.unwrap();
    let start = format!("{address} ended the call with UNIMPLEMENTED: ");
    assert!(line.starts_with(&start), "{line}");
    assert!(
        line.ends_with("; check that it serves this tutorial"),
        "{line}"
    );
}

#[test]
fn who_no_longer_listens_has_heard_enough() {
    let serving = Serving::on_a_free_port(&["--task-interval", "0.05"]);
    let address = serving.addresses[0].to_string();
    let mut client = Client::start(&["contact", &address]);
    client.wait_for("服务端接收到消息");
    // The thread that reads ends with its next line.
    client.stdout = std::sync::mpsc::channel().1;
    let status = client.child.wait().unwrap();
    assert_eq!(status.code(), Some(0));
    assert_eq!(lines(client.child.stderr.take().unwrap()).iter().count(), 0);
}

#[test]
fn the_help_names_every_client_and_its_address() {
    for arguments in [&[][..], &["--help"]] {
        let output = tutorial(arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        let help = String::from_utf8(output.stdout).unwrap();
        for name in NAMES {
            let listed = help.lines().filter(|line| {
                let mut words = line.split_whitespace();
                words.next() == Some(name) && words.next().is_some()
            });
            assert_eq!(listed.count(), 1, "{name} is not in:\n{help}");
        }
    }
    for name in NAMES {
        let help = String::from_utf8(tutorial(&[name, "--help"]).stdout).unwrap();
        let port = match name {
            "numbers" => 50052,
            "sums" => 50053,
            "chat" => 50054,
            _ => 50051,
        };
        let default = format!("[default: localhost:{port}]");
        for word in [
            &default,
            "--timeout <SECONDS>",
            "--gzip",
            "--ca <FILE>",
            "--cert <FILE>",
            "--key <FILE>",
            "--server-name <HOST>",
        ] {
            assert!(help.contains(word), "{word} is not in:\n{help}");
        }
    }
}
