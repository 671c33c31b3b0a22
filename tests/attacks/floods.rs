//! Frames that cost a peer nothing, as many as the line takes.

use crate::attacker::{Attacker, Over, request, streams};
use crate::frames::{ping, settings_frame, window};
use crate::support::{ACK, DATA, END_STREAM, PING, frame};
use crate::{Attack, Cost};

const INITIAL_WINDOW_SIZE: u16 = 4;
const PADDED: u8 = 8;
/// Adds numbers, one a message.
const SUM: &str = "/sum_stream.SumService/CalculateSum";

pub fn attacks() -> Vec<Attack> {
    vec![
        Attack::new(
            "settings_flood",
            Cost::Control,
            &["GOAWAY 11 too_many_settings"],
            |attacker| Box::pin(settings_flood(attacker)),
        ),
        Attack::new(
            "ping_flood",
            Cost::Control,
            &["GOAWAY 11 too_many_pings"],
            |attacker| Box::pin(ping_flood(attacker)),
        ),
        Attack::new(
            "priority_and_unknown_frame_flood",
            Cost::Control,
            &["GOAWAY 11 too_many_idle_frames"],
            |attacker| Box::pin(idle_frame_flood(attacker)),
        ),
        Attack::new(
            "window_update_flood",
            Cost::Control,
            &["GOAWAY 11 too_many_window_updates"],
            |attacker| Box::pin(window_update_flood(attacker)),
        ),
        Attack::new(
            "empty_data_flood",
            Cost::Control,
            &["GOAWAY 11 too_many_data_frames"],
            |attacker| Box::pin(empty_data_flood(attacker)),
        ),
        Attack::new("small_data_flood", Cost::Control, &["open"], |attacker| {
            Box::pin(small_data_flood(attacker))
        }),
    ]
}

/// SETTINGS that say nothing, or that change the windows of a thousand streams. Each has to be
/// acknowledged, and some attackers do not read that.
async fn settings_flood(attacker: &mut Attacker) -> Result<(), Over> {
    attacker.begin(&[]).await?;
    let flood = match attacker.number % 3 {
        0 => settings_frame(&[]),
        manner => {
            for stream in streams().take(1_000) {
                attacker.send(&request(stream, SUM, &[])).await?;
            }
            if manner == 2 {
                attacker.turn_deaf();
            }
            let changes = [1, 70_000].map(|size| settings_frame(&[(INITIAL_WINDOW_SIZE, size)]));
            changes.concat()
        }
    };
    attacker.repeat(&flood).await?;
    Ok(())
}

/// PING, of which each has to be answered. Some attackers do not read that.
async fn ping_flood(attacker: &mut Attacker) -> Result<(), Over> {
    attacker.begin(&[]).await?;
    if attacker.number % 2 == 1 {
        attacker.turn_deaf();
    }
    attacker.repeat(&ping([7; 8])).await?;
    Ok(())
}

/// Frames that mean nothing to us: PRIORITY, answers to PINGs that nobody sent, unknown types.
async fn idle_frame_flood(attacker: &mut Attacker) -> Result<(), Over> {
    attacker.begin(&[]).await?;
    let flood = match attacker.number % 3 {
        0 => frame(2, 0, 1, &[0, 0, 0, 0, 16]),
        1 => frame(PING, ACK, 0, &[7; 8]),
        _ => frame(0xee, 0, 0, b"what is this"),
    };
    attacker.repeat(&flood).await?;
    Ok(())
}

/// Window that nobody needs, a byte at a time, for the connection or for a stream.
async fn window_update_flood(attacker: &mut Attacker) -> Result<(), Over> {
    attacker.begin(&[]).await?;
    attacker.send(&request(1, SUM, &[])).await?;
    let stream = u32::from(attacker.number % 2 == 1);
    attacker.repeat(&window(stream, 1)).await?;
    Ok(())
}

/// DATA without data, and without an end.
async fn empty_data_flood(attacker: &mut Attacker) -> Result<(), Over> {
    attacker.begin(&[]).await?;
    attacker.send(&request(1, SUM, &[])).await?;
    let empty = match attacker.number % 2 {
        0 => frame(DATA, 0, 1, &[]),
        // Empty but for its padding.
        _ => frame(DATA, PADDED, 1, &[1, 0]),
    };
    attacker.repeat(&empty).await?;
    Ok(())
}

/// A message in each frame, by the hundred thousand: that is no abuse, and answered.
async fn small_data_flood(attacker: &mut Attacker) -> Result<(), Over> {
    const EMPTY_MESSAGE: &[u8] = &[0; 5];
    attacker.begin_and_wait(&[]).await?;
    // Both fit into a stream's window.
    let (flags, payload, count) = match attacker.number % 2 {
        0 => (0, EMPTY_MESSAGE.to_vec(), 20_000),
        _ => (PADDED, [&[250][..], EMPTY_MESSAGE, &[0; 250]].concat(), 900),
    };
    for (answered, stream) in (1..).zip(streams()) {
        let small = frame(DATA, flags, stream, &payload);
        attacker.send(&request(stream, SUM, &[])).await?;
        for _ in 0..count / 100 {
            attacker.send(&small.repeat(100)).await?;
        }
        attacker.send(&frame(DATA, END_STREAM, stream, &[])).await?;
        attacker.hear(|heard| heard.answers == answered).await?;
    }
    Ok(())
}
