//! A server that starts: where it listens, what it says, what it serves.

use std::net::{Ipv4Addr, Ipv6Addr, TcpListener};

use bytes::Bytes;

use crate::process::{Serving, call, file, request, say_hello};
use crate::support::Client;
use crate::tokio;

#[tokio::test]
async fn it_tells_where_it_listens_what_it_serves_and_what_to_try() {
    let serving = Serving::on_a_free_port(&[]);
    let address = serving.addresses[0];
    assert_ne!(address.port(), 0);
    let expected = [
        &*format!("listening on {address} (plain text)"),
        "serving",
        "  helloworld.Greeter",
        "  hellostreamingworld.MultiGreeter",
        "  greet.Greeter",
        "  number_stream.NumberService",
        "  sum_stream.SumService",
        "  chat.ChatService",
        "  routeguide.RouteGuide",
        "  hello.Hello",
        "  Contact",
        "  grpc.health.v1.Health",
        "  grpc.reflection.v1.ServerReflection",
        "  grpc.reflection.v1alpha.ServerReflection",
        "try",
        &format!(
            r#"  python3 -c "import grpc; print(grpc.insecure_channel('{address}').unary_unary('/helloworld.Greeter/SayHello')(b'\n\x03you'))""#
        ),
    ];
    assert_eq!(serving.announced, expected);
    assert_eq!(
        say_hello(&serving.client().await).await.messages,
        ["Hello, you!"]
    );
}

#[tokio::test]
async fn the_server_and_each_of_its_services_are_healthy() {
    let serving = Serving::on_a_free_port(&[]);
    let client = serving.client().await;
    for name in ["", "helloworld.Greeter", "Contact"] {
        let check = request("/grpc.health.v1.Health/Check", &[]);
        let mut check = client.send_request(check, false).await;
        check.send_message(name).await;
        check.send.send_data(Bytes::new(), true).unwrap();
        let mut body = check.response.await.unwrap().into_body();
        let reply = body.data().await.unwrap().unwrap();
        // Field 1 is the number 1, SERVING, behind a prefix.
        assert_eq!(reply.as_ref(), [0, 0, 0, 0, 2, 0x08, 1], "{name:?}");
    }
}

#[tokio::test]
async fn every_address_serves_everything() {
    let serving = Serving::start(&["--addr", "127.0.0.1:0", "--addr", "127.0.0.1:0"]);
    assert_eq!(serving.addresses.len(), 2);
    for address in &serving.addresses {
        let answer = say_hello(&Client::tcp(*address).await).await;
        assert_eq!(answer.messages, ["Hello, you!"], "{address}");
    }
}

#[tokio::test]
async fn a_name_is_an_address_too() {
    let serving = Serving::start(&["--addr", "localhost:0"]);
    assert!(serving.addresses[0].ip().is_loopback());
    assert_eq!(say_hello(&serving.client().await).await.code(), Some("0"));
}

#[tokio::test]
async fn all_of_ipv6_is_all_of_ipv4_too() {
    if TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_err() {
        eprintln!("this machine has no IPv6, so there is nothing to see");
        return;
    }
    let serving = Serving::start(&["--addr", "[::]:0"]);
    let port = serving.addresses[0].port();
    for address in [
        (Ipv4Addr::LOCALHOST, port).into(),
        (Ipv6Addr::LOCALHOST, port).into(),
    ] {
        assert_eq!(
            say_hello(&Client::tcp(address).await).await.code(),
            Some("0"),
            "{address}"
        );
    }
    let command = serving.announced.last().unwrap();
    assert!(command.contains(&format!("'[::1]:{port}'")), "{command}");
}

#[test]
fn all_of_ipv6_and_all_of_ipv4_go_side_by_side() {
    if TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_err() {
        eprintln!("this machine has no IPv6, so there is nothing to see");
        return;
    }
    for order in [["[::]", "0.0.0.0"], ["0.0.0.0", "[::]"], ["[::]", "[::]"]] {
        // A port that is free now may be another test's in a moment: then the next one is tried.
        let mut attempts = (0..20).map(|_| {
            let free = TcpListener::bind((Ipv6Addr::UNSPECIFIED, 0)).unwrap();
            let port = free.local_addr().unwrap().port();
            drop(free);
            let [one, other] = order.map(|host| format!("{host}:{port}"));
            let serving = Serving::try_start(&["--addr", &one, "--addr", &other])?;
            Ok((serving, vec![one, other]))
        });
        let started = attempts.find_map(|attempt: Result<_, Vec<String>>| attempt.ok());
        let (serving, mut expected) = started.expect("a port for both");
        let listening: Vec<_> = serving.addresses.iter().map(ToString::to_string).collect();
        // The same address twice is one.
        expected.dedup();
        assert_eq!(listening, expected);
    }
}

#[tokio::test]
async fn the_route_guide_knows_the_places_of_the_file() {
    // The request is an empty message, which is the point whose degrees are zero.
    let json = br#"[{"location": {"latitude": 0, "longitude": 0}, "name": "Null Island"}]"#;
    let path = file("null-island.json", json);
    let serving = Serving::on_a_free_port(&["--route-db", path.to_str().unwrap()]);
    let client = serving.client().await;
    let request = request("/routeguide.RouteGuide/GetFeature", &[]);
    let mut point = client.send_request(request, false).await;
    point.send_message("").await;
    assert_eq!(point.finish().await.messages, ["Null Island"]);
}

#[tokio::test]
async fn tasks_come_as_often_as_the_flag_says() {
    let serving = Serving::on_a_free_port(&["--task-interval", "0.05"]);
    let client = serving.client().await;
    let request = request("/Contact/getTask", &[]);
    let mut tasks = client.send_request(request, false).await;
    tasks.send_message("").await;
    tasks.send.send_data(Bytes::new(), true).unwrap();
    let mut body = tasks.response.await.unwrap().into_body();
    let mut bytes = 0;
    // More than two bursts, for which the usual interval would take longer than anyone waits.
    while bytes < 20 * 17 {
        bytes += body.data().await.unwrap().unwrap().len();
    }
}

#[tokio::test]
async fn replies_are_compressed_as_the_request_was() {
    let serving = Serving::on_a_free_port(&[]);
    let client = serving.client().await;
    let path = "/helloworld.Greeter/SayHelloStreamReply";
    let gzip = [("grpc-encoding", "gzip"), ("grpc-accept-encoding", "gzip")];
    let answer = call(&client, "/helloworld.Greeter/SayHello", &gzip).await;
    assert_eq!(answer.headers["grpc-encoding"], "gzip");
    let accepted = [("grpc-accept-encoding", "gzip")];
    let answer = call(&client, path, &accepted).await;
    let encoding = answer.headers.get("grpc-encoding");
    assert!(
        encoding.is_none_or(|encoding| encoding == "identity"),
        "{encoding:?}"
    );
}
