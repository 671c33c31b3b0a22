//! The client of `Contact`: it reports, takes the tasks that the server pushes, and says of each that
//! it has come.
//!
//! ```text
//!  sendStatus   15 messages ──▶  ◀── 15 confirmations      at the start, and every minute
//!  getTask      Empty ──▶        ◀── task, task, task …    for as long as we stay
//!  tellResult   result, result … ──▶                       one for each task
//! ```
//!
//! The calls share one connection.

use std::io::Write;
use std::pin::{Pin, pin};
use std::time::Duration;

use tokio::time::{Instant, interval_at, sleep};

use super::WalkError;
use super::chance::random;
use crate::tutorial::proto::contact::{ClientMsg, ContactClient, Empty};
use crate::{Channel, Code};

/// Takes tasks until there were `count`, or `leave` resolves, or the server has no more. When the
/// server has gone away, it looks for it again every two seconds, as the tutorial's client does.
///
/// # Errors
///
/// A call that ended badly, before anything was heard or otherwise than by the server's going away; or
/// an `out` that takes no more.
///
/// # Cancel safety
///
/// Dropping it cancels the calls.
pub async fn contact(
    channel: Channel,
    out: &mut impl Write,
    count: Option<u64>,
    leave: impl Future<Output = ()>,
) -> Result<(), WalkError> {
    let mut leave = pin!(leave);
    let mut visit = Visit {
        client: ContactClient::new(channel),
        tasks_left: count,
        was_there: false,
    };
    loop {
        let status = match visit.take_tasks(out, leave.as_mut()).await {
            Err(WalkError::Call(status)) if status.code == Code::Unavailable && visit.was_there => {
                status
            }
            ended => return ended,
        };
        writeln!(
            out,
            "server connected out, please retry:StatusCode.{},{}",
            status.code.name(),
            status.message
        )?;
        // Either may win: who wants to leave does not wait.
        tokio::select! {
            () = &mut leave => return Ok(()),
            () = sleep(RETRY_INTERVAL) => {}
        }
    }
}

/// How long the tutorial's client waits before it looks for its server again.
const RETRY_INTERVAL: Duration = Duration::from_secs(2);
/// How often it reports.
const STATUS_INTERVAL: Duration = Duration::from_secs(60);

struct Visit {
    client: ContactClient,
    /// Tasks still to be taken; without a number, all.
    tasks_left: Option<u64>,
    /// Whether the server has ever answered.
    was_there: bool,
}

impl Visit {
    async fn take_tasks(
        &mut self,
        out: &mut impl Write,
        mut leave: Pin<&mut impl Future<Output = ()>>,
    ) -> Result<(), WalkError> {
        let mut tasks = self.client.get_task(Empty {}).await?;
        let (mut results, told) = self.client.tell_result(()).await?;
        self.send_status(out).await?;
        let mut reports = interval_at(Instant::now() + STATUS_INTERVAL, STATUS_INTERVAL);
        while self.tasks_left != Some(0) {
            // Any may win. Who wants to leave does not wait for reports, nor these for tasks.
            tokio::select! {
                biased;
                () = &mut leave => break,
                _ = reports.tick() => self.send_status(out).await?,
                task = tasks.next() => {
                    let Some(task) = task?.map(|message| message.task) else {
                        break;
                    };
                    writeln!(out, "客户端已接收到服务端任务：{task}\n")?;
                    let msg = format!("客户端接收到任务:{task}");
                    results.send(ClientMsg { msg }).await?;
                    self.tasks_left = self.tasks_left.map(|left| left.saturating_sub(1));
                }
            }
        }
        // The tasks have no end: to leave is to cancel their call.
        drop(tasks);
        results.finish()?;
        told.single().await?;
        Ok(())
    }

    async fn send_status(&mut self, out: &mut impl Write) -> Result<(), WalkError> {
        let (mut statuses, mut confirmations) = self.client.send_status(()).await?;
        for _ in 0..15 {
            let msg = format!("数据:{}", random() % 20 + 1);
            statuses.send(ClientMsg { msg }).await?;
        }
        statuses.finish()?;
        while let Some(confirmation) = confirmations.next().await? {
            self.was_there = true;
            writeln!(out, "{}", confirmation.ret)?;
        }
        Ok(())
    }
}
