//! A network between client and server that does what networks do.
//!
//! ```text
//!   client ── TCP ──▶ proxy ── TCP ──▶ server
//!                       └ what it does to the bytes of one direction, or of both
//! ```
//!
//! Each connection has its own chance: in which direction, at which byte, how long.

use std::net::{Shutdown, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep, timeout};

use crate::numbered::Chance;

/// What happens to bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Each piece comes later.
    Delay,
    /// Each piece comes later, some more than others.
    Jitter,
    /// Byte by byte.
    OneByOne,
    /// Many pieces as one.
    Coalescing,
    /// So many bytes a second and no more.
    Bandwidth,
    /// From some byte on nothing comes in one direction, and nobody is told.
    StallOneWay,
    StallBothWays,
    /// At some byte both directions end with FIN.
    Fin,
    /// At some byte both directions end with RST.
    Reset,
    /// At some byte one direction ends with FIN.
    HalfClose,
    /// Some byte is another one.
    Corrupt,
    /// Some bytes come twice.
    Duplicate,
    /// Some bytes do not come.
    Drop,
    /// Some bytes come before those that were sent before them.
    Reorder,
}

/// A proxy at work. It ends, and its connections with it, when this is dropped.
pub struct Proxy {
    pub address: SocketAddr,
    /// Connections that had their trouble.
    pub hit: Arc<AtomicU64>,
    accepting: JoinHandle<()>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Proxy {
    /// One in front of `server`.
    pub async fn start(server: SocketAddr, trouble: Trouble) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let hit = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&hit);
        let accepting = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            for seed in 0.. {
                let (client, _) = listener.accept().await.unwrap();
                let hit = Arc::clone(&counted);
                connections.spawn(async move {
                    if let Ok(server) = TcpStream::connect(server).await {
                        carry(client, server, trouble, Chance(seed), &hit).await;
                    }
                });
                while connections.try_join_next().is_some() {}
            }
        });
        Self {
            address,
            hit,
            accepting,
        }
    }
}

/// A connection breaks somewhere in its first bytes, of which each call has some hundred.
const FIRST_BYTES: u64 = 12 * 1024;
/// What one pump takes at once.
const PIECE: usize = 16 * 1024;
/// How many bytes are doubled, left out or moved at most.
const SOME_BYTES: u64 = 64;
const DELAY: Duration = Duration::from_millis(10);
/// Bytes that come in each tenth of a second where that is limited.
const TENTH: usize = 2 * 1024;

/// Carries bytes both ways until one of them ends.
async fn carry(
    mut client: TcpStream,
    mut server: TcpStream,
    trouble: Trouble,
    mut chance: Chance,
    hit: &AtomicU64,
) {
    for stream in [&client, &server] {
        stream.set_nodelay(true).unwrap();
    }
    let upwards = chance.below(2) == 0;
    let mut pump = |ours: bool| Pump {
        trouble: trouble.is_in(ours).then_some(trouble),
        at: chance.below(FIRST_BYTES),
        passed: 0,
        chance: Chance(chance.next()),
        hit,
    };
    let (mut up, mut down) = (pump(upwards), pump(!upwards));
    let end = {
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        // The two directions. The first to break ends both; one that ends well waits for the other.
        let both = async {
            tokio::try_join!(
                up.run(from_client, to_server),
                down.run(from_server, to_client)
            )
        };
        both.await.err()
    };
    for stream in [&client, &server] {
        let _ = match end {
            // Closed with this, it is reset.
            Some(Break::Reset) => SockRef::from(stream).set_linger(Some(Duration::ZERO)),
            // Before unread bytes can make a reset of it.
            _ => SockRef::from(stream).shutdown(Shutdown::Write),
        };
    }
}

impl Trouble {
    /// Whether it is in a direction: the one that chance chose, or the other.
    fn is_in(self, chosen: bool) -> bool {
        match self {
            Self::StallOneWay
            | Self::HalfClose
            | Self::Corrupt
            | Self::Duplicate
            | Self::Drop
            | Self::Reorder
            | Self::Fin
            | Self::Reset => chosen,
            Self::Delay
            | Self::Jitter
            | Self::OneByOne
            | Self::Coalescing
            | Self::Bandwidth
            | Self::StallBothWays => true,
        }
    }
}

/// Why a connection ends before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Break {
    /// A socket has failed, or somebody gave up on a connection that says nothing.
    Socket,
    Fin,
    Reset,
}

/// Bytes of one direction.
struct Pump<'a> {
    trouble: Option<Trouble>,
    /// The byte at which it comes.
    at: u64,
    passed: u64,
    chance: Chance,
    hit: &'a AtomicU64,
}

impl Pump<'_> {
    async fn run(&mut self, mut from: ReadHalf<'_>, mut to: WriteHalf<'_>) -> Result<(), Break> {
        let mut buffer = vec![0; PIECE];
        loop {
            let length = from.read(&mut buffer).await.map_err(|_| Break::Socket)?;
            if length == 0 {
                to.shutdown().await.map_err(|_| Break::Socket)?;
                return Ok(());
            }
            let piece = &buffer[..length];
            let before = self.passed;
            self.passed += length as u64;
            let place = self
                .at
                .checked_sub(before)
                .filter(|_| self.at < self.passed);
            match (self.trouble, place) {
                (Some(trouble), Some(place)) => {
                    self.hit.fetch_add(1, Ordering::Relaxed);
                    let place = usize::try_from(place).unwrap();
                    self.strike(trouble, piece, place, &mut from, &mut to)
                        .await?;
                }
                (trouble, _) => {
                    let mut piece = piece.to_vec();
                    self.pass(trouble, &mut piece, &mut from, &mut to).await?;
                }
            }
        }
    }

    /// What happens all the time.
    async fn pass(
        &mut self,
        trouble: Option<Trouble>,
        piece: &mut Vec<u8>,
        from: &mut ReadHalf<'_>,
        to: &mut WriteHalf<'_>,
    ) -> Result<(), Break> {
        match trouble {
            Some(Trouble::Delay) => sleep(DELAY).await,
            Some(Trouble::Jitter) => {
                let share = self.chance.below(3) as u32;
                sleep(DELAY * share).await;
            }
            Some(Trouble::Coalescing) => {
                let end = Instant::now() + DELAY;
                let mut more = vec![0; PIECE];
                // What comes in a while goes on together. The end of the stream is left for later.
                while let Ok(Ok(length @ 1..)) = timeout(
                    end.saturating_duration_since(Instant::now()),
                    from.read(&mut more),
                )
                .await
                {
                    self.passed += length as u64;
                    piece.extend(&more[..length]);
                }
            }
            Some(Trouble::Bandwidth) => {
                for some in piece.chunks(TENTH) {
                    sleep(Duration::from_millis(100) * some.len() as u32 / TENTH as u32).await;
                    write(to, some).await?;
                }
                return Ok(());
            }
            Some(Trouble::OneByOne) => {
                for byte in piece.chunks(1) {
                    write(to, byte).await?;
                }
                return Ok(());
            }
            Some(_) | None => {}
        }
        write(to, piece).await
    }

    /// What happens at one byte.
    async fn strike(
        &mut self,
        trouble: Trouble,
        piece: &[u8],
        place: usize,
        from: &mut ReadHalf<'_>,
        to: &mut WriteHalf<'_>,
    ) -> Result<(), Break> {
        let (before, after) = piece.split_at(place);
        let some = usize::try_from(1 + self.chance.below(SOME_BYTES)).unwrap();
        let some = some.min(after.len());
        match trouble {
            Trouble::StallOneWay | Trouble::StallBothWays => {
                write(to, before).await?;
                // The bytes are lost on the way, until the sender gives up.
                let mut lost = vec![0; PIECE];
                while from.read(&mut lost).await.map_err(|_| Break::Socket)? > 0 {}
                Err(Break::Fin)
            }
            Trouble::Fin => {
                write(to, before).await?;
                Err(Break::Fin)
            }
            Trouble::Reset => {
                write(to, before).await?;
                Err(Break::Reset)
            }
            Trouble::HalfClose => {
                write(to, before).await?;
                to.shutdown().await.map_err(|_| Break::Socket)?;
                let mut lost = vec![0; PIECE];
                while from.read(&mut lost).await.map_err(|_| Break::Socket)? > 0 {}
                Err(Break::Fin)
            }
            Trouble::Corrupt => {
                let mut piece = piece.to_vec();
                piece[place] ^= 1 << self.chance.below(8);
                write(to, &piece).await
            }
            Trouble::Duplicate => write(to, &[before, &after[..some], after].concat()).await,
            Trouble::Drop => write(to, &[before, &after[some..]].concat()).await,
            Trouble::Reorder => {
                let mut piece = piece.to_vec();
                piece[place..].rotate_left(some.min(after.len() / 2));
                write(to, &piece).await
            }
            Trouble::Delay
            | Trouble::Jitter
            | Trouble::OneByOne
            | Trouble::Coalescing
            | Trouble::Bandwidth => {
                let mut piece = piece.to_vec();
                self.pass(Some(trouble), &mut piece, from, to).await
            }
        }
    }
}

async fn write(to: &mut WriteHalf<'_>, bytes: &[u8]) -> Result<(), Break> {
    to.write_all(bytes).await.map_err(|_| Break::Socket)
}
