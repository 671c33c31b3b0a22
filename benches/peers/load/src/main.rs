//! Puts load on a server and prints what that cost it, as a line of JSON.
//!
//! ```text
//!   load calls KIND address=… pid=… connections=1 streams=1 calls=1 warm_up=0 [rate=…] [spin=1]
//!   load idle_connections KIND address=… pid=… connections=1 warm_up=0
//!   load idle_streams echo address=… pid=… connections=1 streams=1
//! ```
//!
//! KIND is `hello`, `download`, `upload` or `echo`, with `size=` and `chunks=`; `roots=` makes it TLS.
//! `rate=` is calls a second, however long they take; without it `streams` calls are always under way
//! on each connection. Counts are of all connections together, but `warm_up`, which is for each.

mod call;
mod connection;
mod frames;

use std::rc::Rc;
use std::time::{Duration, Instant};

use harness::figures::{Figures, Latencies, Report};
use harness::options::Options;
use harness::{Fault, tls};
use tokio::net::TcpStream;
use tokio::task::{JoinSet, LocalSet};

use crate::call::Call;
use crate::connection::{Connection, Io, Pace, Run};

fn main() -> Result<(), Fault> {
    let options = Options::from_arguments();
    let connections = options.number("connections", 1)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        // Who never sleeps looks at the sockets once each round.
        .event_interval(connections)
        .build()?;
    LocalSet::new().block_on(&runtime, run(options))
}

async fn run(options: Options) -> Result<(), Fault> {
    let mut call = Call::from_options(options.word(1), &options)?;
    let pid = options.text("pid").unwrap_or("self");
    let warm_up = options.number("warm_up", 0)?;
    match options.word(0) {
        "calls" => {
            let calls = options.number("calls", 1)?;
            let connections = connect(&options, call).await?;
            let (connections, _) = make(connections, &options, warm_up, Stage::WarmUp).await?;
            let before = Figures::of(pid)?;
            let started = Instant::now();
            let (_connections, latencies) =
                make(connections, &options, calls, Stage::Measured).await?;
            let elapsed = started.elapsed();
            let after = Figures::of(pid)?;
            let report = Report {
                calls,
                elapsed,
                before,
                after,
                latencies,
            };
            report.print();
        }
        "idle_connections" => {
            let before = Figures::of(pid)?;
            let connections = connect(&options, call).await?;
            let connections = make(connections, &options, warm_up, Stage::WarmUp).await?;
            report_memory(before, pid).await?;
            drop(connections);
        }
        "idle_streams" => {
            call.messages = 0;
            let mut connections = connect(&options, call).await?;
            settle().await;
            let before = Figures::of(pid)?;
            for connection in &mut connections {
                connection.open_idle(options.number("streams", 1)?).await?;
            }
            report_memory(before, pid).await?;
            drop(connections);
        }
        mode => return Err(format!("{mode:?} is nothing that we do").into()),
    }
    Ok(())
}

/// Opens one connection after the other.
async fn connect(options: &Options, call: Call) -> Result<Vec<Connection>, Fault> {
    let address = options.text("address").ok_or("address= is missing")?;
    let connector = tls::connector(options)?;
    let call = Rc::new(call);
    let mut connections = Vec::new();
    for _ in 0..options.number("connections", 1)? {
        let socket = TcpStream::connect(address).await?;
        socket.set_nodelay(true)?;
        let io: Box<dyn Io> = match &connector {
            Some(connector) => Box::new(connector.connect(tls::server_name()?, socket).await?),
            None => Box::new(socket),
        };
        connections.push(Connection::open(io, Rc::clone(&call)).await?);
    }
    Ok(connections)
}

#[derive(Clone, Copy)]
enum Stage {
    WarmUp,
    Measured,
}

/// Makes calls on all connections at once: so many on each to warm up, else so many together.
async fn make(
    connections: Vec<Connection>,
    options: &Options,
    calls: u64,
    stage: Stage,
) -> Result<(Vec<Connection>, Latencies), Fault> {
    let count = u64::try_from(connections.len())?;
    let rate: f64 = options.number("rate", 0.0)?;
    let started = Instant::now();
    let mut working = JoinSet::new();
    for (place, mut connection) in (0..count).zip(connections) {
        let calls = match stage {
            Stage::WarmUp => calls,
            Stage::Measured => calls / count + u64::from(place < calls % count),
        };
        let pace = if rate > 0.0 {
            let between = Duration::from_secs_f64(1.0 / rate);
            Pace::Every {
                first: started + between * u32::try_from(place)?,
                interval: between * u32::try_from(count)?,
            }
        } else {
            Pace::InFlight(options.number("streams", 1)?)
        };
        let spin = options.text("spin").is_some();
        working.spawn_local(async move {
            let latencies = connection.make(Run { calls, pace, spin }).await?;
            Ok::<_, Fault>((connection, latencies))
        });
    }
    let (mut connections, mut latencies) = (Vec::new(), Latencies::default());
    while let Some(worked) = working.join_next().await {
        let (connection, more) = worked??;
        connections.push(connection);
        latencies.append(more);
    }
    Ok((connections, latencies))
}

async fn report_memory(before: Figures, pid: &str) -> Result<(), Fault> {
    settle().await;
    let report = Report {
        calls: 0,
        elapsed: Duration::ZERO,
        before,
        after: Figures::of(pid)?,
        latencies: Latencies::default(),
    };
    report.print();
    Ok(())
}

/// Waits until the server has nothing more to do, buffers to give back included.
async fn settle() {
    tokio::time::sleep(Duration::from_secs(2)).await;
}
