//! A hundred thousand calls at once, on a thousand connections.

use std::time::Instant;

use barewire::MethodPath;
use bytes::Bytes;
use tokio::task::JoinSet;

use crate::calls::{CHAT, channel};
use crate::numbered::{check, seal};
use crate::process::{Backend, Process, Rest};
use crate::size;

const CALLS_ON_EACH: u64 = 100;
/// What an open call may take, handler included.
const LIMIT: f64 = 5.0 * 1024.0;

pub async fn all() {
    let connections = size("OPEN_CONNECTIONS", 1_000);
    let total = connections * CALLS_ON_EACH;
    let mut server = Backend::start(&[]);
    let rest = Rest::of(&mut server);
    let (process, this) = (server.process(), Process::this());
    let channels: Vec<_> = (0..connections).map(|_| channel(&server)).collect();
    for channel in &channels {
        channel.ready().await.unwrap();
    }
    let before = [process.memory(), this.memory()];

    let began_at = Instant::now();
    let mut calls = Vec::new();
    for number in 0..total {
        let channel = &channels[(number % connections) as usize];
        let call = channel
            .bidi::<Bytes, Bytes>(MethodPath::from_static(CHAT), ())
            .await;
        calls.push((number, call.unwrap()));
    }
    let figures = server
        .wait_for(|figures| figures.of("running") == total)
        .await;
    assert_eq!(figures.of("running"), total, "calls are open: {figures:?}");
    let opened_in = began_at.elapsed();
    let after = [process.memory(), this.memory()];
    let [theirs, ours] = [0, 1].map(|i| after[i].saturating_sub(before[i]) as f64 / total as f64);
    println!(
        "\n  {total} calls in {opened_in:.1?}; each takes {:.2} KiB of the server and {:.2} KiB of its client",
        theirs / 1024.0,
        ours / 1024.0,
    );

    let mut ending = JoinSet::new();
    for (number, (mut requests, mut replies)) in calls {
        ending.spawn(async move {
            requests.send(seal(number, 0)).await.unwrap();
            let reply = replies.next().await.unwrap().unwrap();
            check(&reply, number, 0).unwrap();
            requests.finish().unwrap();
            assert_eq!(replies.next().await.unwrap(), None);
        });
    }
    while let Some(ended) = ending.join_next().await {
        ended.unwrap();
    }
    println!("  all ended after {:.1?}", began_at.elapsed());
    assert!(
        theirs <= LIMIT,
        "an open call takes {theirs} bytes of the server, where {LIMIT} are allowed"
    );

    drop(channels);
    let figures = rest.is_back(&mut server).await;
    assert_eq!((figures.of("distinct"), figures.of("twice")), (total, 0));
}
