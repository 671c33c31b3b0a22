//! `Contact`, a service without a package: a server that pushes tasks to its clients.
//!
//! All clients share one list of tasks, and each gets it from its start. While anyone listens, a
//! burst of tasks is made every interval. No task of the runtime stands behind that: each call sleeps
//! until the next burst is due, and the first to wake makes it. So nothing runs when nobody listens.

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::proto::contact::{self, ClientMsg, Contact, Empty, ServerMsg};
use crate::{Inbound, Replies, Request, Response, Status};

/// Confirms messages and hands out tasks, as `Contact`.
#[derive(Debug)]
pub struct Tasks {
    interval: Duration,
    list: Mutex<TaskList>,
}

impl Tasks {
    /// Makes a burst of tasks every `interval` while anyone listens.
    pub fn new(interval: Duration) -> Self {
        Self {
            // So that it can be added to any moment.
            interval: interval.min(LONGEST_INTERVAL),
            list: Mutex::new(TaskList {
                tasks: VecDeque::new(),
                made: 0,
                listeners: 0,
                next_burst_at: Instant::now(),
                random: RandomState::new(),
            }),
        }
    }

    fn list(&self) -> MutexGuard<'_, TaskList> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends all tasks there are, and each new burst. Ends only when the call does.
    async fn push(&self, mut replies: Replies<ServerMsg>) -> Result<(), Status> {
        let _listener = Listener::join(self);
        let mut seen = 0;
        loop {
            let (unseen, next_burst_at) = {
                let mut list = self.list();
                list.make_if_due(self.interval);
                (list.take_unseen(&mut seen), list.next_burst_at)
            };
            for task in unseen {
                replies.send(ServerMsg { task }).await?;
            }
            sleep_until(next_burst_at).await;
        }
    }
}

const LONGEST_INTERVAL: Duration = Duration::from_secs(365 * 24 * 60 * 60);

impl Contact for Tasks {
    async fn send_status(
        &self,
        mut requests: Request<Inbound<ClientMsg>>,
        mut replies: Replies<contact::Result>,
    ) -> Result<(), Status> {
        while let Some(ClientMsg { msg }) = requests.next().await? {
            let ret = format!("服务端接收到消息:{msg}");
            replies.send(contact::Result { ret }).await?;
        }
        Ok(())
    }

    async fn get_task(
        &self,
        request: Request<Empty>,
        replies: Replies<ServerMsg>,
    ) -> Result<(), Status> {
        // The tasks race with the end of the server. They have no end of their own, so that one wins
        // once it comes, and the client is told to look for another server.
        tokio::select! {
            biased;
            () = request.draining() => Err(Status::unavailable("the server shuts down")),
            ended = self.push(replies) => ended,
        }
    }

    async fn tell_result(
        &self,
        mut requests: Request<Inbound<ClientMsg>>,
    ) -> Result<Response<Empty>, Status> {
        while requests.next().await?.is_some() {}
        Ok(Empty {}.into())
    }
}

/// The tasks that all clients share.
#[derive(Debug)]
struct TaskList {
    /// The newest tasks, oldest first.
    tasks: VecDeque<String>,
    /// Tasks made so far, those included that have been dropped.
    made: usize,
    listeners: usize,
    /// Holds while there are listeners.
    next_burst_at: Instant,
    random: RandomState,
}

impl TaskList {
    /// Makes a burst if it is time. One that nobody was awake to make is left out.
    fn make_if_due(&mut self, interval: Duration) {
        let now = Instant::now();
        if now < self.next_burst_at {
            return;
        }
        self.next_burst_at += interval;
        if self.next_burst_at <= now {
            self.next_burst_at = now + interval;
        }
        for _ in 0..BURST {
            // Seeded by the system for hash maps; random enough for a tutorial.
            let number = 100 + self.random.hash_one(self.made) % 101;
            self.tasks.push_back(format!("任务:{number}"));
            self.made += 1;
        }
        while self.tasks.len() > TASKS_LIMIT {
            self.tasks.pop_front();
        }
    }

    /// The tasks that were made after the first `seen`, and are still here.
    fn take_unseen(&self, seen: &mut usize) -> Vec<String> {
        let unseen = self.made - *seen;
        let skipped = self.tasks.len().saturating_sub(unseen);
        *seen = self.made;
        self.tasks.iter().skip(skipped).cloned().collect()
    }
}

const BURST: usize = 10;
/// What a client that comes late still gets: the bursts of an hour and more, at the usual interval.
const TASKS_LIMIT: usize = 1_000;

/// A client that listens, until it is dropped.
struct Listener<'a>(&'a Tasks);

impl<'a> Listener<'a> {
    fn join(tasks: &'a Tasks) -> Self {
        let mut list = tasks.list();
        if list.listeners == 0 {
            // The first tasks are there when the first client asks. When one comes back to a list
            // that nobody listened to, time starts anew.
            let wait = if list.made == 0 {
                Duration::ZERO
            } else {
                tasks.interval
            };
            list.next_burst_at = Instant::now() + wait;
        }
        list.listeners += 1;
        Self(tasks)
    }
}

impl Drop for Listener<'_> {
    fn drop(&mut self) {
        self.0.list().listeners -= 1;
    }
}
