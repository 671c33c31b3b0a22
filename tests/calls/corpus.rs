//! The inputs of the fuzz target `server_bytes`, replayed, and what chance makes of them and of frames.

use std::env;

use crate::chance::Chance;
use crate::mutants::{inputs, mutate};
use crate::server_oracle::server_bytes;
use crate::support::{
    ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PING, RST_STREAM, SETTINGS,
    WINDOW_UPDATE, block, encoded, frame,
};

#[test]
fn every_input_of_server_bytes_holds() {
    let inputs = inputs();
    assert!(inputs.len() >= 20, "{} inputs", inputs.len());
    for input in inputs {
        println!("{}", input.escape_ascii());
        server_bytes(&input);
    }
}

#[test]
fn what_is_made_of_the_inputs_by_chance_holds() {
    let inputs = inputs();
    let mut chance = Chance(0x2545_f491_4f6c_dd1d);
    for _ in 0..runs() {
        let mut input = chance.of(&inputs).clone();
        for _ in 0..=chance.below(4) {
            mutate(&mut input, &inputs, &mut chance);
        }
        println!("{}", input.escape_ascii());
        server_bytes(&input);
    }
}

#[test]
fn frames_by_chance_hold() {
    let mut chance = Chance(0x9e37_79b9_7f4a_7c15);
    for _ in 0..runs() {
        let mut input = vec![*chance.of(&[0, 0, 0x80, 1, 13, 100])];
        input.extend(frame(SETTINGS, 0, 0, &[]));
        input.extend(frame(SETTINGS, ACK, 0, &[]));
        let mut next = 1;
        for _ in 0..chance.below(40) {
            input.extend(any_frame(&mut next, &mut chance));
        }
        println!("{}", input.escape_ascii());
        server_bytes(&input);
    }
}

/// How many conversations each of the two tests has; `BAREWIRE_MALFORMED=10000` for many.
fn runs() -> usize {
    match env::var("BAREWIRE_MALFORMED") {
        Ok(text) => text.parse().expect("a whole number"),
        Err(_) => 500,
    }
}

/// A frame that is likely to be good where it stands. `next` is the stream that was not used yet.
fn any_frame(next: &mut u32, chance: &mut Chance) -> Vec<u8> {
    let old = 1 + 2 * u32::try_from(chance.below(5)).unwrap();
    let stream = *chance.of(&[next.saturating_sub(2), old, old, 0, 2]);
    let size = [0, 1, 5, 100, 16_384][chance.below(5)];
    let number: u32 = *chance.of(&[0, 1, 100, 65_535, 0x7fff_0000, 0x7fff_ffff, 0xffff_ffff]);
    let end = *chance.of(&[END_HEADERS, END_HEADERS, END_HEADERS | END_STREAM, 0, 0x2d]);
    match chance.below(24) {
        0..8 => {
            let new = *next;
            *next += 2;
            frame(HEADERS, end, new, &any_block(chance))
        }
        8..12 => frame(
            DATA,
            *chance.of(&[0, 0, END_STREAM, 8]),
            stream,
            &encoded("hello"),
        ),
        12 => frame(DATA, *chance.of(&[0, END_STREAM]), stream, &vec![0; size]),
        13 | 14 => frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes()),
        15 | 16 => frame(WINDOW_UPDATE, 0, stream, &number.to_be_bytes()),
        17 => {
            let identifier = u8::try_from(chance.below(10)).unwrap();
            frame(
                SETTINGS,
                0,
                0,
                &[&[0, identifier][..], &number.to_be_bytes()].concat(),
            )
        }
        18 => frame(PING, *chance.of(&[0, ACK]), 0, &[7; 8]),
        19 => frame(
            CONTINUATION,
            *chance.of(&[0, END_HEADERS]),
            stream,
            &any_block(chance),
        ),
        20 => frame(
            GOAWAY,
            0,
            0,
            &[stream.to_be_bytes(), number.to_be_bytes()].concat(),
        ),
        21 => frame(2, 0, stream, &[&old.to_be_bytes()[..], &[16]].concat()),
        22 => frame(
            HEADERS,
            END_HEADERS | END_STREAM,
            stream,
            &block(&[("x-end", "here")]),
        ),
        _ => frame(0xbe, 0xff, stream, &vec![0; size]),
    }
}

fn any_block(chance: &mut Chance) -> Vec<u8> {
    let method = *chance.of(&[
        "/a/Echo", "/a/Chat", "/a/Flood", "/a/Never", "/a/What", "/b/Echo",
    ]);
    let mut fields = vec![(":method", "POST"), (":scheme", "http"), (":path", method)];
    fields.push(("content-type", "application/grpc"));
    let more = [
        ("grpc-timeout", "1S"),
        ("grpc-timeout", "0n"),
        ("grpc-encoding", "gzip"),
        ("grpc-accept-encoding", "gzip"),
        ("x-a-bin", "AAEC"),
        ("x-a", "b"),
        ("connection", "close"),
        ("content-length", "12"),
    ];
    for _ in 0..chance.below(3) {
        fields.push(*chance.of(&more));
    }
    let mut block = block(&fields);
    // Fields that go into the table, come out of it, and change its size.
    match chance.below(8) {
        0 => block.extend(b"\x40\x03x-t\x01v"),
        1 => block.push(0xbe),
        2 => block.splice(0..0, [0x20, 0x3f, 0xe1, 0x1f]).for_each(drop),
        3 => block.truncate(chance.below(block.len())),
        _ => {}
    }
    block
}
