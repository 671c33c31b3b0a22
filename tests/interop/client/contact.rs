//! `Contact`, a service without a package: a server that pushes tasks to its clients.

use barewire::tutorial::proto::contact::{ClientMsg, ContactClient, Empty};
use barewire::{Channel, ChannelConfig};

use super::line::Line;
use super::site::Setup;
use super::{Case, Site};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    cases.extend(Case::on_each(Line::TO_THREADS, send_status));
    cases.extend(Case::on_each(Line::TO_THREADS, get_task_begins_with_ten));
    cases.push(Case::new(get_task_brings_new_bursts).through_proxies());
    cases.extend(Case::on_each(Line::TO_THREADS, tell_result));
    cases.extend(Case::on_each(&[Line::Plain], all_methods_at_once));
    cases
}

fn say(msg: &str) -> ClientMsg {
    ClientMsg {
        msg: msg.to_owned(),
    }
}

fn assert_is_task(task: &str) {
    let number = task.strip_prefix("任务:").expect(task);
    let number: u32 = number.parse().expect(task);
    assert!((100..=200).contains(&number), "{task}");
}

async fn send_status(channel: Channel) {
    let (mut messages, mut results) = ContactClient::new(channel).send_status(()).await.unwrap();
    for msg in ["1", "状态", ""] {
        messages.send(say(msg)).await.unwrap();
        let result = results.next().await.unwrap().expect("one for each");
        assert_eq!(result.ret, format!("服务端接收到消息:{msg}"));
    }
    messages.finish().unwrap();
    assert_eq!(results.next().await.unwrap(), None);
}

async fn get_task_begins_with_ten(channel: Channel) {
    let mut tasks = ContactClient::new(channel)
        .get_task(Empty {})
        .await
        .unwrap();
    for _ in 0..10 {
        assert_is_task(&tasks.next().await.unwrap().expect("there are ten").task);
    }
}

async fn get_task_brings_new_bursts(site: &Site) {
    let channel = site.channel(Setup::FastTasks, ChannelConfig::default());
    let contact = ContactClient::new(channel);
    let mut tasks = contact.get_task(Empty {}).await.unwrap();
    let mut first = Vec::new();
    for _ in 0..35 {
        let task = tasks.next().await.unwrap().expect("it has no end").task;
        assert_is_task(&task);
        first.push(task);
    }
    // Who comes later gets the same list, from its start.
    let mut again = contact.get_task(Empty {}).await.unwrap();
    for task in first {
        assert_eq!(
            again.next().await.unwrap().expect("it has no end").task,
            task
        );
    }
}

async fn tell_result(channel: Channel) {
    let (mut messages, answer) = ContactClient::new(channel).tell_result(()).await.unwrap();
    for msg in ["done", "完成"] {
        messages.send(say(msg)).await.unwrap();
    }
    messages.finish().unwrap();
    assert_eq!(answer.single().await.unwrap().message, Empty {});
}

async fn all_methods_at_once(channel: Channel) {
    tokio::join!(
        send_status(channel.clone()),
        get_task_begins_with_ten(channel.clone()),
        tell_result(channel),
    );
}
