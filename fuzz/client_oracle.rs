//! What must hold for a client, whatever its server says. It needs the features `client` and `server`;
//! `tests/client/corpus.rs` replays its corpus.

#![allow(clippy::unwrap_used, clippy::expect_used, unreachable_pub)]

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use barewire::{
    Address, ByteStream, CallRecord, Channel, ChannelConfig, Dialer, Dialing, Inbound, MethodPath,
    Request, Server,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::time::{Instant, sleep, timeout};

use crate::bystander::Bystander;
use crate::virtual_time::{AGES, play};

/// Input: a byte for how it is said, then all that the first server says, with a moment after the first
/// frame. The lower six bits of the first byte are the size of the pieces that arrive; the next one says
/// that the connection stays open for a while afterwards; the highest one, that the server does not read.
///
/// Nothing panics, not even where a panic would be caught. Every call ends, with one status that remains,
/// of which its interceptor is told once, and not after its deadline; with OK only if a server has said
/// so. The next call finds the next server, and no task is left.
pub fn client_bytes(data: &[u8]) {
    let Some((manner, bytes)) = data.split_first() else {
        return;
    };
    play(async {
        let (near, far) = tokio::io::duplex(16 * 1024);
        let server = tokio::spawn(say(far, *manner, bytes.to_vec()));
        let ended = Arc::new(AtomicUsize::new(0));
        let next = Bystander::default();
        let channel = channel_to(near, next.clone(), Arc::clone(&ended));

        let calls = [
            tokio::spawn(ask(channel.clone())),
            tokio::spawn(ask_in_time(channel.clone())),
            tokio::spawn(listen(channel.clone())),
            tokio::spawn(chat(channel.clone())),
        ];
        let count = calls.len();
        let mut well = 0;
        for call in calls {
            let call = timeout(AGES, call).await.expect("every call ends");
            well += usize::from(call.expect("no call panics"));
        }
        assert_eq!(ended.load(Ordering::SeqCst), count, "each call ends once");
        // Each of the others is OK by a handler of ours.
        assert!(well <= trailers(bytes) + next.begun(), "{well} are OK");

        server.await.unwrap();
        // The client hears that the connection is gone.
        sleep(MOMENT).await;
        let request = Request::new("still there?".to_owned()).with_wait_for_ready(true);
        let answer = timeout(AGES, channel.unary::<String, String>(echo(), request));
        let answer = answer.await.expect("a second connection");
        assert_eq!(answer.expect("the next call").message, "still there?");
    });
}

/// How many header blocks end a stream.
fn trailers(mut bytes: &[u8]) -> usize {
    const HEADERS: u8 = 1;
    const END_STREAM: u8 = 1;
    let mut count = 0;
    while let Some((&[a, b, c, kind, flags, ..], payload)) = bytes.split_first_chunk::<9>() {
        count += usize::from(kind == HEADERS && flags & END_STREAM != 0);
        let length = usize::try_from(u32::from_be_bytes([0, a, b, c])).unwrap();
        bytes = payload.get(length..).unwrap_or_default();
    }
    count
}

/// Long enough for a pipe.
const MOMENT: Duration = Duration::from_secs(1);
/// So long the first server keeps silent, if it does not leave at once.
const SILENCE: Duration = Duration::from_secs(60);
/// So long calls may take that have a deadline.
const PATIENCE: Duration = Duration::from_secs(5);
/// What is allowed for noticing that it has passed.
const LATE: Duration = Duration::from_millis(100);

/// Says these bytes, and leaves without a word.
async fn say(io: DuplexStream, manner: u8, bytes: Vec<u8>) {
    let (mut hear, mut say) = tokio::io::split(io);
    let hearing = tokio::spawn(async move {
        if manner & 0x80 == 0 {
            let mut heard = Vec::new();
            let _ = hear.read_to_end(&mut heard).await;
        }
    });
    let size = match usize::from(manner & 0x3f) {
        0 => bytes.len().max(1),
        size => size,
    };
    // Calls begin once SETTINGS are there, and are answered after that.
    let settings = match bytes.first_chunk() {
        Some(&[0, high, low]) => 9 + usize::from(u16::from_be_bytes([high, low])),
        Some(_) | None => bytes.len(),
    };
    let (settings, rest) = bytes.split_at(settings.min(bytes.len()));
    let open_for = if manner & 0x40 == 0 {
        Duration::ZERO
    } else {
        SILENCE
    };
    'all: for (part, pause) in [(settings, MOMENT), (rest, open_for)] {
        for piece in part.chunks(size) {
            // The client may have had enough, or not listen.
            if !matches!(timeout(SILENCE, say.write_all(piece)).await, Ok(Ok(()))) {
                break 'all;
            }
            tokio::task::yield_now().await;
        }
        sleep(pause).await;
    }
    hearing.abort();
    // Aborted, it has dropped its half.
    let _ = hearing.await;
}

/// A channel whose first connection is `io`; all others lead to servers of ours. `ended` counts what its
/// interceptor is told.
fn channel_to(io: DuplexStream, next: Bystander, ended: Arc<AtomicUsize>) -> Channel {
    let servers = Servers {
        first: Mutex::new(Some(io)),
        next,
    };
    let config = ChannelConfig {
        dialer: Some(Arc::new(servers)),
        max_connections_per_address: 1,
        ..ChannelConfig::default()
    };
    let channel = Channel::with_config("passthrough:///fuzz", config).unwrap();
    channel.intercept(move |_: &CallRecord<'_>| {
        ended.fetch_add(1, Ordering::SeqCst);
    })
}

struct Servers {
    first: Mutex<Option<DuplexStream>>,
    next: Bystander,
}

impl Dialer for Servers {
    fn dial<'a>(&'a self, _: &'a Address) -> Dialing<'a> {
        let first = self.first.lock().unwrap().take();
        let near = first.unwrap_or_else(|| {
            let (near, far) = tokio::io::duplex(16 * 1024);
            tokio::spawn(Server::new().add(self.next.clone()).serve_io(far));
            near
        });
        let near: Box<dyn ByteStream> = Box::new(near);
        Box::pin(std::future::ready(io::Result::Ok(near)))
    }
}

fn echo() -> MethodPath {
    MethodPath::from_static("/a/Echo")
}

/// One message for one. Says whether it ended well, as all of these do.
async fn ask(channel: Channel) -> bool {
    let answer = channel.unary::<String, String>(echo(), "hello".to_owned());
    answer.await.is_ok()
}

/// One message for one, with a deadline.
async fn ask_in_time(channel: Channel) -> bool {
    let begin = Instant::now();
    let path = MethodPath::from_static("/a/Never");
    let request = Request::new("hello".to_owned()).with_timeout(PATIENCE);
    let answer = channel.unary::<String, String>(path, request).await;
    assert!(begin.elapsed() <= PATIENCE + LATE, "{:?}", begin.elapsed());
    answer.is_ok()
}

/// One message for many.
async fn listen(channel: Channel) -> bool {
    let call = channel.server_streaming::<String, _>(echo(), "hello".to_owned());
    match call.await {
        Ok(mut replies) => hear_out(&mut replies).await,
        Err(_) => false,
    }
}

/// Many messages for many, with a deadline.
async fn chat(channel: Channel) -> bool {
    let begin = Instant::now();
    let path = MethodPath::from_static("/a/Chat");
    let request = Request::new(()).with_timeout(PATIENCE);
    let mut well = false;
    if let Ok((mut requests, mut replies)) = channel.bidi(path, request).await {
        for text in ["one", "two"] {
            let _ = requests.send(text.to_owned()).await;
        }
        let _ = requests.finish();
        well = hear_out(&mut replies).await;
    }
    assert!(begin.elapsed() <= PATIENCE + LATE, "{:?}", begin.elapsed());
    well
}

/// Takes all messages. The end comes again whenever it is asked for.
async fn hear_out(replies: &mut Inbound<String>) -> bool {
    let end = loop {
        match replies.next().await {
            Ok(Some(_)) => {}
            Ok(None) => break Ok(()),
            Err(status) => break Err(status.code),
        }
    };
    let again = replies.next().await;
    assert_eq!(again.map(drop).map_err(|status| status.code), end);
    end.is_ok()
}
