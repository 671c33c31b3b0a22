//! `Contact`, its bursts of tasks in particular. Time is paused: it moves when everybody waits.

use std::time::Duration;

use barewire::Code;
use barewire::tutorial::proto::contact::{ClientMsg, Empty, Result, ServerMsg};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};

use crate::conversation::{Conversation, OK, call, client, server};
use crate::support::{Client, PATIENCE};
use crate::tokio;

const INTERVAL: Duration = Duration::from_secs(40);

fn message(text: &str) -> ClientMsg {
    ClientMsg {
        msg: text.to_owned(),
    }
}

/// A client that asks for tasks.
async fn listener(client: &Client) -> Conversation {
    let mut tasks = Conversation::open(client, "/Contact/getTask").await;
    tasks.say(&Empty {});
    tasks.end();
    tasks
}

#[tokio::test]
async fn each_status_is_confirmed_at_once() {
    let mut statuses = Conversation::open(&client().await, "/Contact/sendStatus").await;
    for text in ["在线", "", "busy"] {
        statuses.say(&message(text));
        let confirmed: Result = statuses.hear().await.unwrap();
        assert_eq!(confirmed.ret, format!("服务端接收到消息:{text}"));
    }
    statuses.end();
    assert_eq!(statuses.hear_all::<Result>().await, (Vec::new(), OK));
}

#[tokio::test]
async fn results_are_read_to_the_end() {
    let mut results = Conversation::open(&client().await, "/Contact/tellResult").await;
    for number in 0..100 {
        results.say(&message(&number.to_string()));
    }
    results.end();
    assert_eq!(results.hear_all::<Empty>().await, (vec![Empty {}], OK));
    let none: &[ClientMsg] = &[];
    let (replies, ended) = call::<Empty>(&client().await, "/Contact/tellResult", none).await;
    assert_eq!((replies, ended), (vec![Empty {}], OK));
}

#[tokio::test(start_paused = true)]
async fn a_burst_of_ten_is_there_at_once_and_another_each_interval() {
    let mut tasks = listener(&client().await).await;
    let began_at = Instant::now();
    for burst in 0..4 {
        for ServerMsg { task } in tasks.hear_many(10).await {
            let number: u32 = task.strip_prefix("任务:").unwrap().parse().unwrap();
            assert!((100..=200).contains(&number), "{task}");
        }
        let passed = began_at.elapsed();
        assert_eq!(
            passed.as_secs(),
            burst * INTERVAL.as_secs(),
            "burst {burst}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn tasks_differ() {
    let tasks: Vec<ServerMsg> = listener(&client().await).await.hear_many(100).await;
    let first = tasks[0].task.as_str();
    assert!(
        tasks.iter().any(|message| message.task != first),
        "{tasks:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn each_client_gets_the_one_list_from_its_start() {
    let client = client().await;
    let mut early = listener(&client).await;
    let mut heard: Vec<ServerMsg> = early.hear_many(20).await;

    sleep(INTERVAL / 4).await;
    let mut late = listener(&client).await;
    let came_at = Instant::now();
    assert_eq!(late.hear_many::<ServerMsg>(20).await, heard);
    assert!(
        came_at.elapsed() < INTERVAL / 4,
        "what exists is sent at once"
    );

    // The next burst is one for both, at the time of the first client.
    heard = early.hear_many(10).await;
    assert_eq!(late.hear_many::<ServerMsg>(10).await, heard);
    let passed = came_at.elapsed();
    assert!(passed >= INTERVAL / 2 && passed < INTERVAL, "{passed:?}");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_made_while_nobody_listens() {
    let client = client().await;
    let mut first = listener(&client).await;
    let heard: Vec<ServerMsg> = first.hear_many(10).await;
    // Gone before the second burst, which is therefore never made.
    drop(first);
    sleep(100 * INTERVAL).await;

    let mut second = listener(&client).await;
    let came_at = Instant::now();
    assert_eq!(second.hear_many::<ServerMsg>(10).await, heard);
    let _: ServerMsg = second.hear().await.unwrap();
    assert_eq!(
        came_at.elapsed().as_secs(),
        INTERVAL.as_secs(),
        "the eleventh is a new one"
    );
}

#[tokio::test(start_paused = true)]
async fn the_oldest_tasks_go_when_there_are_too_many() {
    let client = client().await;
    let mut first = listener(&client).await;
    let heard: Vec<ServerMsg> = first.hear_many(1_030).await;
    let mut second = listener(&client).await;
    let came_at = Instant::now();
    assert_eq!(second.hear_many::<ServerMsg>(1_000).await, heard[30..]);
    assert!(came_at.elapsed() < INTERVAL);
}

#[tokio::test]
async fn a_drain_ends_the_tasks_and_is_not_held_up() {
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(server().serve_until(socket, async {
        let _ = stopped.await;
    }));
    let mut tasks = listener(&Client::tcp(address).await).await;
    let _: Vec<ServerMsg> = tasks.hear_many(10).await;

    stop.send(()).unwrap();
    let (rest, (code, text)) = tasks.hear_all::<ServerMsg>().await;
    assert_eq!((rest.len(), code), (0, Some(Code::Unavailable)));
    assert_eq!(text, "the server shuts down");
    let report = tokio::time::timeout(PATIENCE, serving)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    assert_eq!((report.calls_at_start, report.cut.len()), (1, 0));
}
