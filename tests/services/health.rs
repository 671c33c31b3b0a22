//! `grpc.health.v1.Health`. Its rules are in the health document and in gRFC A17 and A90.

use std::collections::BTreeMap;

use barewire::services::{Health, ServingStatus};
use barewire::{Server, ServerConfig, Service};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::conversation::{Conversation, End, ask, client_of};
use crate::health_v1::{
    HealthCheckRequest, HealthCheckResponse, HealthListRequest, HealthListResponse,
};
use crate::support::{Client, PATIENCE, connect};
use crate::tokio;

const CHECK: &str = "/grpc.health.v1.Health/Check";
const WATCH: &str = "/grpc.health.v1.Health/Watch";
const LIST: &str = "/grpc.health.v1.Health/List";

const SERVING: i32 = 1;
const NOT_SERVING: i32 = 2;
const SERVICE_UNKNOWN: i32 = 3;

async fn client(health: &Health) -> Client {
    client_of(Server::new().add(health.clone())).await
}

fn of(service: &str) -> HealthCheckRequest {
    HealthCheckRequest {
        service: service.to_owned(),
    }
}

/// The status as a number, or the code of the call.
async fn check(client: &Client, service: &str) -> Result<i32, u8> {
    let answer: Result<HealthCheckResponse, End> = ask(client, CHECK, &of(service)).await;
    answer.map(|answer| answer.status).map_err(|end| end.code)
}

async fn list(client: &Client) -> Result<BTreeMap<String, i32>, End> {
    let answer: HealthListResponse = ask(client, LIST, &HealthListRequest {}).await?;
    let statuses = answer.statuses.into_iter();
    Ok(statuses
        .map(|(name, answer)| (name, answer.status))
        .collect())
}

async fn watch(client: &Client, service: &str) -> Conversation {
    let mut watch = Conversation::start(client, WATCH).await;
    watch.say(&of(service));
    watch.say_no_more();
    watch
}

async fn next_status(watch: &mut Conversation) -> i32 {
    let answer: HealthCheckResponse = watch.hear().await.expect("a status");
    answer.status
}

fn going_away() -> End {
    End {
        code: 14,
        text: "the server is shutting down".to_owned(),
    }
}

#[tokio::test]
#[rustfmt::skip]
async fn p212_check_tells_the_status_of_exactly_the_name_it_is_asked_for() {
    let health = Health::new();
    health.set("shop.Orders", ServingStatus::Serving);
    health.set("shop.Stock", ServingStatus::NotServing);
    health.set("shop.Bills", ServingStatus::Unknown);
    health.set("shop.Gone", ServingStatus::Serving);
    health.clear("shop.Gone");
    health.set("shop.Lost", ServingStatus::Serving);
    health.set("shop.Lost", ServingStatus::ServiceUnknown);
    let client = client(&health).await;
    let cases = [
        ("",             Ok(SERVING)),  // the server as a whole
        ("shop.Orders",  Ok(SERVING)),
        ("shop.Stock",   Ok(NOT_SERVING)),
        ("shop.Bills",   Ok(0)),        // set, but not to say much
        ("shop.Gone",    Err(5)),
        ("shop.Lost",    Err(5)),
        ("shop.orders",  Err(5)),
        ("shop.Orders ", Err(5)),
        (".shop.Orders", Err(5)),
        ("shop",         Err(5)),
        ("grpc.health.v1.Health", Err(5)),  // served, but never set
    ];
    for (service, expected) in cases {
        assert_eq!(check(&client, service).await, expected, "{service:?}");
    }
}

#[tokio::test]
async fn p212_the_answer_has_the_bytes_of_the_standard_messages() {
    let health = Health::new();
    health.set("a", ServingStatus::NotServing);
    let client = client(&health).await;
    // Field 1 as a varint; and as a map of such, with key 1 and value 2.
    let cases: [(&str, &str, &[u8]); 3] = [
        (CHECK, "", b"\x08\x01"),
        (CHECK, "a", b"\x08\x02"),
        (WATCH, "b", b"\x08\x03"),
    ];
    for (path, service, expected) in cases {
        let mut call = Conversation::start(&client, path).await;
        call.say(&of(service));
        call.say_no_more();
        assert_eq!(call.hear_bytes().await.unwrap(), expected, "{path}");
    }
    health.clear("");
    let mut call = Conversation::start(&client, LIST).await;
    call.say(&HealthListRequest {});
    call.say_no_more();
    assert_eq!(
        call.hear_bytes().await.unwrap(),
        &b"\x0a\x07\x0a\x01a\x12\x02\x08\x02"[..]
    );
}

#[tokio::test]
async fn p212_a_long_unknown_name_does_not_come_back_in_the_status() {
    let client = client(&Health::new()).await;
    let name = "x".repeat(10_000);
    let end = ask::<HealthCheckResponse>(&client, CHECK, &of(&name)).await;
    let expected = End {
        code: 5,
        text: "the health of this service is not known".to_owned(),
    };
    assert_eq!(end, Err(expected));
}

#[tokio::test]
async fn p213_watch_tells_at_once_and_then_each_change() {
    let health = Health::new();
    let client = client(&health).await;
    let mut whole = watch(&client, "").await;
    assert_eq!(next_status(&mut whole).await, SERVING);
    for status in [NOT_SERVING, SERVING, 0, NOT_SERVING] {
        health.set("", ServingStatus::try_from(status).unwrap());
        assert_eq!(next_status(&mut whole).await, status);
    }
}

#[tokio::test]
async fn p213_equal_values_are_not_told_again() {
    let health = Health::new();
    health.set("a", ServingStatus::Serving);
    let client = client(&health).await;
    let mut watched = watch(&client, "a").await;
    assert_eq!(next_status(&mut watched).await, SERVING);

    health.set("a", ServingStatus::Serving);
    // A change of another name wakes the watcher, and is none of its business.
    health.set("b", ServingStatus::NotServing);
    let mut other = watch(&client, "b").await;
    assert_eq!(next_status(&mut other).await, NOT_SERVING);
    health.set("a", ServingStatus::NotServing);
    assert_eq!(next_status(&mut watched).await, NOT_SERVING);
}

/// The test and the server share a thread, so what is set without an `await` between is seen at once.
#[tokio::test]
async fn p213_values_that_come_and_go_unseen_are_dropped() {
    let health = Health::new();
    let client = client(&health).await;
    let mut whole = watch(&client, "").await;
    assert_eq!(next_status(&mut whole).await, SERVING);

    health.set("", ServingStatus::NotServing);
    health.set("", ServingStatus::Unknown);
    assert_eq!(next_status(&mut whole).await, 0);

    health.set("", ServingStatus::Serving);
    health.set("", ServingStatus::Unknown);
    // The two that cancel each other out are over when this Check is answered.
    assert_eq!(check(&client, "").await, Ok(0));
    health.set("", ServingStatus::NotServing);
    assert_eq!(next_status(&mut whole).await, NOT_SERVING);
}

#[tokio::test]
async fn p213_an_unknown_service_may_appear_and_go_while_it_is_watched() {
    let health = Health::new();
    let client = client(&health).await;
    let mut watched = watch(&client, "shop.Orders").await;
    assert_eq!(next_status(&mut watched).await, SERVICE_UNKNOWN);
    health.set("shop.Orders", ServingStatus::Serving);
    assert_eq!(next_status(&mut watched).await, SERVING);
    health.clear("shop.Orders");
    assert_eq!(next_status(&mut watched).await, SERVICE_UNKNOWN);
    health.set("shop.Orders", ServingStatus::NotServing);
    assert_eq!(next_status(&mut watched).await, NOT_SERVING);
}

#[tokio::test]
async fn p214_list_tells_all_names() {
    let health = Health::new();
    health.set("shop.Orders", ServingStatus::Serving);
    health.set("shop.Stock", ServingStatus::NotServing);
    let client = client(&health).await;
    let expected = BTreeMap::from([
        (String::new(), SERVING),
        ("shop.Orders".to_owned(), SERVING),
        ("shop.Stock".to_owned(), NOT_SERVING),
    ]);
    assert_eq!(list(&client).await, Ok(expected));
}

#[tokio::test]
async fn p214_a_list_holds_100_names_and_no_101() {
    let health = Health::new();
    let client = client(&health).await;
    // The empty name is one of them.
    for number in 1..100 {
        health.set(format!("shop.Orders{number}"), ServingStatus::Serving);
    }
    assert_eq!(list(&client).await.map(|statuses| statuses.len()), Ok(100));

    health.set("one.too.Many", ServingStatus::Serving);
    assert_eq!(list(&client).await.map_err(|end| end.code), Err(8));
    assert_eq!(check(&client, "one.too.Many").await, Ok(SERVING));

    health.clear("one.too.Many");
    assert_eq!(list(&client).await.map(|statuses| statuses.len()), Ok(100));
}

#[tokio::test]
async fn p215_when_the_server_drains_nothing_serves_and_nothing_can_be_set() {
    let health = Health::new();
    health.set("shop.Orders", ServingStatus::Serving);
    health.set("shop.Bills", ServingStatus::Unknown);
    let client = client(&health).await;
    health.drain();
    health.set("", ServingStatus::Serving);
    health.set("shop.Orders", ServingStatus::Serving);
    health.set("shop.Stock", ServingStatus::Serving);
    health.clear("shop.Bills");
    let expected = ["", "shop.Bills", "shop.Orders"];
    let expected = expected.map(|name| (name.to_owned(), NOT_SERVING));
    assert_eq!(list(&client).await, Ok(BTreeMap::from(expected)));
    assert_eq!(check(&client, "").await, Ok(NOT_SERVING));
}

#[tokio::test]
#[rustfmt::skip]
async fn p215_watchers_are_told_that_nothing_serves_and_then_let_go() {
    let health = Health::new();
    health.set("shop.Orders", ServingStatus::Serving);
    health.set("shop.Stock", ServingStatus::NotServing);
    let client = client(&health).await;
    let cases: [(&str, i32, &[i32]); 4] = [
        // name            before           told at the drain
        ("",            SERVING,         &[NOT_SERVING]),
        ("shop.Orders", SERVING,         &[NOT_SERVING]),
        ("shop.Stock",  NOT_SERVING,     &[]),  // which is no news
        ("shop.Bills",  SERVICE_UNKNOWN, &[]),
    ];
    let mut watches = Vec::new();
    for (service, before, told) in cases {
        let mut watch = watch(&client, service).await;
        assert_eq!(next_status(&mut watch).await, before, "{service:?}");
        watches.push((watch, told));
    }
    health.drain();
    for (mut watch, told) in watches {
        for status in told {
            assert_eq!(next_status(&mut watch).await, *status);
        }
        assert_eq!(watch.end().await, going_away());
    }
    // Who comes later learns the same.
    let mut late = watch(&client, "shop.Orders").await;
    assert_eq!(next_status(&mut late).await, NOT_SERVING);
    assert_eq!(late.end().await, going_away());
}

#[tokio::test]
async fn p154_open_watches_do_not_hold_up_a_drain() {
    let health = Health::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let server = Server::new()
        .with_config(ServerConfig {
            drain_timeout: PATIENCE * 2,
            ..ServerConfig::default()
        })
        .add(health.clone());
    let report = tokio::spawn(server.serve_until(listener, async {
        stopped.await.unwrap();
    }));
    let client = Client::over(connect(address).await).await;
    let mut whole = watch(&client, "").await;
    assert_eq!(next_status(&mut whole).await, SERVING);

    stop.send(()).unwrap();
    assert_eq!(next_status(&mut whole).await, NOT_SERVING);
    assert_eq!(whole.end().await, going_away());
    drop(client);
    let report = timeout(PATIENCE, report).await.expect("a drain in time");
    let report = report.unwrap().unwrap();
    assert_eq!((report.calls_at_start, report.cut.len()), (1, 0));
}

#[tokio::test]
async fn p023_health_has_no_other_methods() {
    let client = client(&Health::new()).await;
    let path = "/grpc.health.v1.Health/Ask";
    let end = ask::<HealthCheckResponse>(&client, path, &of("")).await;
    let text = "grpc.health.v1.Health has no method Ask".to_owned();
    assert_eq!(end, Err(End { code: 12, text }));
}
