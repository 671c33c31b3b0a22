//! What the tutorials' clients print where their servers say what is out of the ordinary. What they
//! print otherwise is in the tests of the command.

use std::time::Duration;

use barewire::tutorial::clients::{self, WalkError};
use barewire::tutorial::proto::hello::{
    Feature, Hello, HelloServer, Point, Rectangle, RouteNote, RouteSummary,
};
use barewire::tutorial::{RouteDatabase, TutorialOptions, add_all};
use barewire::{Channel, Code, Inbound, Replies, Request, Response, Server, Status};
use tokio::time::{Instant, sleep};

use crate::conversation;
use crate::tokio;

/// A channel to a server, and the task that serves.
fn connect(server: Server) -> (Channel, tokio::task::JoinHandle<std::io::Result<()>>) {
    let (ours, theirs) = tokio::io::duplex(1024 * 1024);
    let serving = tokio::spawn(server.serve_io(theirs));
    (Channel::over(ours), serving)
}

fn text(printed: Vec<u8>) -> String {
    String::from_utf8(printed).unwrap()
}

/// Lines by their kind: a report confirmed, a task, nothing.
fn kinds(printed: &str) -> Vec<(char, usize)> {
    let mut kinds: Vec<(char, usize)> = Vec::new();
    for line in printed.lines().filter(|line| !line.is_empty()) {
        let kind = match line {
            _ if line.starts_with("服务端接收到消息:数据:") => 'r',
            _ if line.starts_with("客户端已接收到服务端任务：任务:") => 't',
            _ => panic!("{line}"),
        };
        match kinds.last_mut() {
            Some((last, count)) if *last == kind => *count += 1,
            _ => kinds.push((kind, 1)),
        }
    }
    kinds
}

#[tokio::test(start_paused = true)]
async fn a_client_of_contact_reports_every_minute() {
    let (channel, _serving) = connect(conversation::server());
    let mut out = Vec::new();
    let leave = std::future::pending();
    clients::contact(channel, &mut out, Some(40), leave)
        .await
        .unwrap();
    // Tasks come every 40 seconds, reports go every 60. At 120 they go first.
    let expected = [
        ('r', 15),
        ('t', 20),
        ('r', 15),
        ('t', 10),
        ('r', 15),
        ('t', 10),
    ];
    assert_eq!(kinds(&text(out)), expected);
}

#[tokio::test(start_paused = true)]
async fn a_client_of_contact_leaves_when_it_is_told_to() {
    let (channel, _serving) = connect(conversation::server());
    let mut out = Vec::new();
    let began_at = Instant::now();
    let leave = sleep(Duration::from_secs(50));
    clients::contact(channel, &mut out, None, leave)
        .await
        .unwrap();
    assert_eq!(began_at.elapsed().as_secs(), 50);
    assert_eq!(kinds(&text(out)), [('r', 15), ('t', 20)]);
}

#[tokio::test(start_paused = true)]
async fn a_client_of_contact_looks_for_its_server_every_two_seconds() {
    let (channel, serving) = connect(conversation::server());
    let mut out = Vec::new();
    let stops = async {
        sleep(Duration::from_secs(1)).await;
        serving.abort();
    };
    let leave = sleep(Duration::from_secs(6));
    let (ended, ()) = tokio::join!(clients::contact(channel, &mut out, None, leave), stops);
    ended.unwrap();
    let printed = text(out);
    let retries: Vec<&str> = printed
        .lines()
        .filter(|line| !line.is_empty())
        .skip(15 + 10)
        .collect();
    // At 1, 3 and 5 seconds.
    assert_eq!(retries.len(), 3, "{printed}");
    for line in retries {
        let start = "server connected out, please retry:StatusCode.UNAVAILABLE,";
        assert!(line.starts_with(start), "{line}");
    }
}

#[tokio::test]
async fn a_client_of_contact_does_not_wait_for_a_server_that_never_was_there() {
    let (ours, theirs) = tokio::io::duplex(1024);
    drop(theirs);
    let leave = std::future::pending();
    let ended = clients::contact(Channel::over(ours), &mut Vec::new(), None, leave).await;
    let Err(WalkError::Call(status)) = ended else {
        panic!("{ended:?}");
    };
    assert_eq!(status.code, Code::Unavailable);
}

#[tokio::test]
#[rustfmt::skip]
async fn names_of_places_are_shown_as_python_shows_them() {
    let cases = [
        // name         as Python's repr
        ("plain",       "'plain'"),
        ("",            "''"),
        ("a \"b\"",     r#"'a "b"'"#),
        ("it's",        r#""it's""#),
        ("it's \"b\"",  r#"'it\'s "b"'"#),
        (r"back\slash", r"'back\\slash'"),
        ("a\nb\tc",     r"'a\nb\tc'"),
        ("北京",        "'北京'"),
    ];
    let places = cases.map(|(name, _)| serde_json::json!({
        "location": {"latitude": 410000000, "longitude": -740000000}, "name": name,
    }));
    let json = serde_json::to_vec(&places).unwrap();
    let options = TutorialOptions {
        route_database: RouteDatabase::parse(&json).unwrap(),
        task_interval: Duration::from_secs(40),
    };
    let (channel, _serving) = connect(add_all(Server::new(), options));
    let mut out = Vec::new();
    clients::route_guide(channel, &mut out).await.unwrap();
    let printed = text(out);
    let listed: Vec<&str> = printed
        .lines()
        .filter_map(|line| line.strip_prefix("Feature called "))
        .collect();
    let expected = cases.map(|(_, shown)| format!("{shown} at latitude: 410000000, longitude: -740000000"));
    assert_eq!(listed, expected);
}

#[tokio::test]
async fn a_guide_without_places_leads_nowhere() {
    let options = TutorialOptions {
        route_database: RouteDatabase::default(),
        task_interval: Duration::from_secs(40),
    };
    let (channel, _serving) = connect(add_all(Server::new(), options));
    let mut out = Vec::new();
    clients::route_guide(channel, &mut out).await.unwrap();
    let printed = text(out);
    assert!(
        printed
            .contains("-------------- RecordRoute --------------\nFinished trip with 0 points \n"),
        "{printed}"
    );
}

/// Answers with what protobuf shows in a way of its own.
struct Odd;

impl Hello for Odd {
    async fn get_feature(&self, _: Request<Point>) -> Result<Response<Feature>, Status> {
        let feature = Feature {
            name: "北京'\"\\\n\t\x01\x7f".to_owned(),
            location: Some(Point {
                latitude: 0.0,
                longitude: -1.5,
            }),
        };
        Ok(feature.into())
    }

    async fn list_features(
        &self,
        _: Request<Rectangle>,
        mut replies: Replies<Feature>,
    ) -> Result<(), Status> {
        replies.send(Feature::default()).await?;
        let location = Some(Point::default());
        let name = String::new();
        replies.send(Feature { name, location }).await
    }

    async fn record_route(
        &self,
        mut points: Request<Inbound<Point>>,
    ) -> Result<Response<RouteSummary>, Status> {
        while points.next().await?.is_some() {}
        Ok(RouteSummary::default().into())
    }

    async fn route_chat(
        &self,
        _: Request<Inbound<RouteNote>>,
        _: Replies<RouteNote>,
    ) -> Result<(), Status> {
        Ok(())
    }
}

#[tokio::test]
async fn messages_are_shown_as_protobuf_shows_them() {
    let (channel, _serving) = connect(Server::new().add(HelloServer(Odd)));
    let mut out = Vec::new();
    clients::hello(channel, &mut out).await.unwrap();
    // As Python's protobuf prints the same messages.
    let expected = r#"name: "北京\'\"\\\n\t\001\177"
location {
  longitude: -1.5
}


location {
}


"#;
    assert_eq!(text(out), expected);
}

#[tokio::test]
async fn an_output_that_takes_no_more_ends_the_walk() {
    let (channel, _serving) = connect(conversation::server());
    let mut room = [0; 10];
    let ended = clients::sums(channel, &mut &mut room[..5]).await;
    assert!(matches!(ended, Err(WalkError::Print(_))), "{ended:?}");
}
