//! Drives a client that is measured: so many calls, so many of them in flight.

use std::time::Instant;

use bytes::Bytes;
use tokio::task::JoinSet;

use crate::figures::{Figures, Latencies, Report};
use crate::messages::DownloadRequest;
use crate::options::Options;
use crate::{Fault, payload, text};

/// One client of a peer. Clones share its connection. Each method is one whole call, and yields how
/// many bytes of payload came back.
pub trait Client: Clone + Send + 'static {
    fn say_hello(&mut self, name: String) -> impl Future<Output = Result<usize, Fault>> + Send;

    fn download(
        &mut self,
        request: DownloadRequest,
    ) -> impl Future<Output = Result<usize, Fault>> + Send;

    /// Yields how many bytes the server says that it took.
    fn upload(
        &mut self,
        chunk: Bytes,
        chunks: u32,
    ) -> impl Future<Output = Result<usize, Fault>> + Send;

    /// The next chunk is sent when the last has come back.
    fn echo(
        &mut self,
        chunk: Bytes,
        chunks: u32,
    ) -> impl Future<Output = Result<usize, Fault>> + Send;
}

/// Makes the calls that the options ask for, and prints what they cost.
pub async fn drive(client: impl Client, options: &Options) -> Result<(), Fault> {
    let calls = options.number("calls", 1)?;
    let size = options.number("size", 5)?;
    let work = Work {
        kind: options.word(1).to_owned(),
        in_flight: options.number("streams", 1)?,
        size,
        name: text(size),
        payload: payload(size),
        chunks: options.number("chunks", 1)?,
    };
    work.run(&client, options.number("warm_up", 0)?).await?;
    let before = Figures::of("self")?;
    let started = Instant::now();
    let latencies = work.run(&client, calls).await?;
    let elapsed = started.elapsed();
    let report = Report {
        calls,
        elapsed,
        before,
        after: Figures::of("self")?,
        latencies,
    };
    report.print();
    Ok(())
}

#[derive(Clone)]
struct Work {
    kind: String,
    in_flight: u64,
    size: u32,
    chunks: u32,
    name: String,
    payload: Bytes,
}

impl Work {
    async fn run<C: Client>(&self, client: &C, calls: u64) -> Result<Latencies, Fault> {
        let mut lanes = JoinSet::new();
        for lane in 0..self.in_flight {
            let share = calls / self.in_flight + u64::from(lane < calls % self.in_flight);
            lanes.spawn(lane_of(self.clone(), client.clone(), share));
        }
        let mut latencies = Latencies::default();
        while let Some(lane) = lanes.join_next().await {
            latencies.append(lane??);
        }
        Ok(latencies)
    }

    async fn call(&self, client: &mut impl Client) -> Result<usize, Fault> {
        let (size, chunks) = (self.size, self.chunks);
        match &*self.kind {
            "hello" => client.say_hello(self.name.clone()).await,
            "download" => {
                let request = DownloadRequest {
                    chunks,
                    chunk_bytes: size,
                    through_channel: false,
                };
                client.download(request).await
            }
            "upload" => client.upload(self.payload.clone(), chunks).await,
            "echo" => client.echo(self.payload.clone(), chunks).await,
            kind => Err(format!("{kind:?} is no kind of call").into()),
        }
    }

    fn expected(&self) -> Result<usize, Fault> {
        let size = usize::try_from(self.size)?;
        Ok(match &*self.kind {
            "hello" => size + "Hello, !".len(),
            _ => size * usize::try_from(self.chunks)?,
        })
    }
}

async fn lane_of<C: Client>(work: Work, mut client: C, calls: u64) -> Result<Latencies, Fault> {
    let mut latencies = Latencies::default();
    let expected = work.expected()?;
    for _ in 0..calls {
        let started = Instant::now();
        let came = work.call(&mut client).await?;
        latencies.add(started.elapsed());
        if came != expected {
            return Err(format!("{came} bytes came, not {expected}").into());
        }
    }
    Ok(latencies)
}
