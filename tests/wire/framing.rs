//! `wire::framing`: P68–P79, P87.

use barewire::wire::framing::{Deframer, PREFIX_LENGTH, RawMessage, encode_message, prefix};
use barewire::wire::{Code, Status, WireError};
use bytes::{Bytes, BytesMut};

use crate::support::{Random, hex};

const MIB: usize = 1024 * 1024;

/// All messages that come out of these chunks.
fn deframe(chunks: &[Vec<u8>]) -> Vec<RawMessage> {
    let mut deframer = Deframer::new(4 * MIB);
    let mut messages = Vec::new();
    for chunk in chunks {
        deframer.push(Bytes::from(chunk.clone()));
        while let Some(message) = deframer.next_message().unwrap() {
            messages.push(message);
        }
    }
    messages
}

fn plain(body: &[u8]) -> RawMessage {
    RawMessage {
        compressed: false,
        body: Bytes::copy_from_slice(body),
    }
}

fn compressed(body: &[u8]) -> RawMessage {
    RawMessage {
        compressed: true,
        body: Bytes::copy_from_slice(body),
    }
}

#[test]
#[rustfmt::skip]
fn p068_a_message_is_five_bytes_and_its_body() {
    let cases: &[(RawMessage, &str)] = &[
        (plain(b""),               "00 00000000"),
        (plain(&[0x08, 0x01]),     "00 00000002 0801"),
        (compressed(b"zip"),       "01 00000003 7a6970"),
        (plain(&[0xff]),           "00 00000001 ff"),
    ];
    for (message, bytes) in cases {
        assert_eq!(encode_message(message).unwrap(), hex(bytes), "{message:?}");
        assert_eq!(deframe(&[hex(bytes)]), std::slice::from_ref(message), "{bytes}");
    }
}

#[test]
#[rustfmt::skip]
fn p068_the_length_is_big_endian() {
    let cases: &[(bool, usize, &str)] = &[
        (false,           0, "00 00000000"),
        (false,           1, "00 00000001"),
        (false,       0x100, "00 00000100"),
        (true,   0x0102_0304, "01 01020304"),
        (false, 0xffff_ffff, "00 ffffffff"),
    ];
    for (compressed, length, bytes) in cases {
        assert_eq!(prefix(*compressed, *length).unwrap().to_vec(), hex(bytes), "{length}");
    }
}

#[test]
fn p068_a_length_over_32_bits_is_refused() {
    let error = prefix(false, 0x1_0000_0000).unwrap_err();
    let expected = WireError::MessageTooLarge {
        length: 0x1_0000_0000,
        limit: 0xffff_ffff,
    };
    assert_eq!(error, expected);
    assert_eq!(error.code(), Code::ResourceExhausted);
}

#[test]
#[rustfmt::skip]
fn a_message_is_whole_or_not_there() {
    let cases: &[(&[&str], &[&str])] = &[
        // chunks as they arrive               messages they complete
        (&["00 00000002 0801"],                &["0801"]),
        (&["00 0000", "0002 0801"],            &["0801"]),      // cut in the length
        (&["00", "00000002", "08", "01"],      &["0801"]),
        (&["00 00000002", "0801"],             &["0801"]),      // cut before the body
        (&["00 00000000 01 00000001 ff"],      &["", "ff"]),    // empty is a message
        (&["00 00000000", "01 00000001 ff"],   &["", "ff"]),
        (&["00 00000002 08"],                  &[]),            // waits for the rest
        (&["00 000000"],                       &[]),
        (&["", "00 00000001", "", "aa", ""],   &["aa"]),        // DATA frames may be empty
        (&["00 00000001 aa 00", "00000001 bb"], &["aa", "bb"]), // the second began in the first
        (&[],                                  &[]),
    ];
    for (chunks, messages) in cases {
        let chunks: Vec<_> = chunks.iter().map(|chunk| hex(chunk)).collect();
        let bodies: Vec<_> = deframe(&chunks).into_iter().map(|message| message.body).collect();
        let expected: Vec<_> = messages.iter().map(|message| hex(message)).collect();
        assert_eq!(bodies, expected, "{chunks:02x?}");
    }
}

#[test]
#[rustfmt::skip]
fn p069_a_flag_other_than_0_and_1_is_internal() {
    let cases: &[(&str, u8)] = &[
        ("02 00000000",       0x02),
        ("80 00000001 00",    0x80),
        ("ff 00000000",       0xff),
        ("0a ffffffff",       0x0a),    // the flag is looked at before the length
    ];
    for (bytes, flag) in cases {
        let mut deframer = Deframer::new(MIB);
        deframer.push(Bytes::from(hex(bytes)));
        let error = deframer.next_message().unwrap_err();
        assert_eq!(error, WireError::InvalidFlag(*flag), "{bytes}");
        assert_eq!(error.code(), Code::Internal);
    }
}

#[test]
fn p069_a_flag_error_comes_behind_the_messages_before_it() {
    let mut deframer = Deframer::new(MIB);
    deframer.push(Bytes::from(hex("00 00000001 aa  02 00000000")));
    assert_eq!(deframer.next_message(), Ok(Some(plain(&[0xaa]))));
    assert_eq!(deframer.next_message(), Err(WireError::InvalidFlag(2)));
}

#[test]
fn p070_an_empty_message_is_a_message() {
    assert_eq!(deframe(&[hex("00 00000000")]), [plain(b"")]);
    assert_eq!(
        deframe(&[vec![0; 15]]),
        [plain(b""), plain(b""), plain(b"")]
    );
    assert_eq!(deframe(&[]), []);
}

#[test]
fn p071_data_frames_may_cut_a_stream_of_messages_anywhere() {
    let messages = [
        plain(b"one"),
        compressed(&[0x5a; 300]),
        plain(b""),
        plain(b"four"),
    ];
    let stream: Vec<u8> = messages
        .iter()
        .flat_map(|message| encode_message(message).unwrap())
        .collect();
    for first in 0..=stream.len() {
        let (start, end) = stream.split_at(first);
        assert_eq!(
            deframe(&[start.to_vec(), end.to_vec()]),
            messages,
            "cut at {first}"
        );
        for second in 0..=end.len() {
            let (middle, end) = end.split_at(second);
            let chunks = [start.to_vec(), middle.to_vec(), end.to_vec()];
            assert_eq!(
                deframe(&chunks),
                messages,
                "cut at {first} and {}",
                first + second
            );
        }
    }
}

#[test]
fn p071_one_byte_may_come_at_a_time() {
    let stream = hex("00 00000003 616263  01 00000000  00 00000001 64");
    let chunks: Vec<Vec<u8>> = stream.iter().map(|byte| vec![*byte]).collect();
    assert_eq!(
        deframe(&chunks),
        [plain(b"abc"), compressed(b""), plain(b"d")]
    );
}

#[test]
fn p071_a_hundred_messages_may_come_in_one_chunk() {
    let messages: Vec<_> = (0..100_u8)
        .map(|length| plain(&vec![length; length.into()]))
        .collect();
    let stream: Vec<u8> = messages
        .iter()
        .flat_map(|message| encode_message(message).unwrap())
        .collect();
    assert_eq!(deframe(&[stream]), messages);
}

#[test]
fn p071_chunks_may_pile_up_before_anyone_asks() {
    let stream: Vec<u8> = (0..1000_u16)
        .flat_map(|number| encode_message(&plain(&number.to_be_bytes())).unwrap())
        .collect();
    for size in [1, 4, 5, 7, 8, 4096] {
        let mut deframer = Deframer::new(MIB);
        for chunk in stream.chunks(size) {
            deframer.push(Bytes::copy_from_slice(chunk));
        }
        assert_eq!(deframer.buffered(), stream.len());
        for number in 0..1000_u16 {
            let message = deframer.next_message().unwrap();
            assert_eq!(
                message,
                Some(plain(&number.to_be_bytes())),
                "chunks of {size}"
            );
        }
        assert_eq!(deframer.next_message(), Ok(None));
        assert_eq!((deframer.finish(), deframer.is_empty()), (Ok(()), true));
    }
}

#[test]
fn p071_ten_thousand_generated_streams_come_out_as_they_went_in() {
    let mut random = Random::new(0x1234_5678_9abc_def0);
    for case in 0..10_000 {
        let messages: Vec<RawMessage> = (0..random.below(6))
            .map(|_| {
                let length = random.below([1, 8, 300, 20_000][case % 4]);
                let body = Bytes::from(random.bytes(length.min(700)).repeat(1 + length / 700));
                RawMessage {
                    compressed: random.below(2) == 1,
                    body,
                }
            })
            .collect();
        let mut stream = BytesMut::new();
        for message in &messages {
            stream.extend_from_slice(&encode_message(message).unwrap());
        }
        // An unfinished message at the end of every other stream.
        let open = if case % 2 == 0 {
            hex("00 00000009 616263")
        } else {
            Vec::new()
        };
        stream.extend_from_slice(&open);

        let mut deframer = Deframer::new(MIB);
        let mut seen = Vec::new();
        while !stream.is_empty() {
            let size = 1 + random.below([4, 64, 9_000][case % 3]);
            deframer.push(stream.split_to(size.min(stream.len())).freeze());
            // Ask at once, or let chunks pile up.
            while random.below(3) > 0 {
                seen.extend(deframer.next_message().unwrap());
            }
        }
        while let Some(message) = deframer.next_message().unwrap() {
            seen.push(message);
        }
        assert!(seen == messages, "case {case}");
        assert_eq!(deframer.buffered(), open.len(), "case {case}");
        assert_eq!(deframer.finish().is_err(), case % 2 == 0, "case {case}");
    }
}

#[test]
fn p072_a_message_of_exactly_the_limit_is_accepted() {
    let mut deframer = Deframer::new(4 * MIB);
    deframer.push(Bytes::from(hex("00 00400000")));
    for _ in 0..256 {
        assert_eq!(deframer.next_message(), Ok(None));
        deframer.push(Bytes::from(vec![7; 16 * 1024]));
    }
    let message = deframer.next_message().unwrap().unwrap();
    assert!(message.body == vec![7; 4 * MIB]);
    assert_eq!(deframer.finish(), Ok(()));
}

#[test]
#[rustfmt::skip]
fn p073_the_length_is_checked_before_a_byte_of_the_body_comes() {
    let cases: &[(&[&str], usize, usize)] = &[
        // chunks                    limit        length found
        (&["00 00400001"],           4 * MIB,     4 * MIB + 1),
        (&["00 ffffffff"],           4 * MIB,     0xffff_ffff),
        (&["00 00000001"],           0,           1),
        (&["01 0000000b"],           10,          11),
        (&["00", "0000", "000b"],    10,          11),
        (&["00 00000001 aa 00", "0000000b"], 10,  11),  // the second message
    ];
    for (chunks, limit, length) in cases {
        let mut deframer = Deframer::new(*limit);
        let mut found = Ok(None);
        for chunk in *chunks {
            deframer.push(Bytes::from(hex(chunk)));
            while let Ok(Some(_)) = { found = deframer.next_message(); &found } {}
        }
        let error = found.unwrap_err();
        assert_eq!(error, WireError::MessageTooLarge { length: *length, limit: *limit });
        assert_eq!(Status::from(error).code, Code::ResourceExhausted, "P74");
    }
}

#[test]
fn p077_a_limit_of_zero_admits_empty_messages() {
    let mut deframer = Deframer::new(0);
    deframer.push(Bytes::from(hex("00 00000000")));
    assert_eq!(deframer.next_message(), Ok(Some(plain(b""))));
}

#[test]
fn p078_memory_is_taken_for_bytes_that_came_not_for_those_promised() {
    let mut deframer = Deframer::new(4 * MIB);
    deframer.push(Bytes::from(hex("00 00400000")));
    assert_eq!(deframer.next_message(), Ok(None));
    assert!(
        deframer.capacity() <= 64,
        "{} bytes for a prefix",
        deframer.capacity()
    );
    let mut received = PREFIX_LENGTH;
    for _ in 0..4 * MIB / 1000 {
        deframer.push(Bytes::from(vec![0; 1000]));
        assert_eq!(deframer.next_message(), Ok(None));
        received += 1000;
        let allowed = (2 * received).max(65 * 1024);
        let capacity = deframer.capacity();
        assert!(
            capacity <= allowed,
            "{capacity} bytes for {received} received"
        );
    }
}

#[test]
fn p078_a_message_takes_its_memory_with_it() {
    let mut deframer = Deframer::new(4 * MIB);
    deframer.push(Bytes::from(hex("00 00100000")));
    assert_eq!(deframer.next_message(), Ok(None));
    deframer.push(Bytes::from(vec![1; MIB]));
    assert_eq!(deframer.next_message().unwrap().unwrap().body.len(), MIB);
    assert_eq!(deframer.capacity(), 0);
}

#[test]
fn p078_a_message_that_a_large_chunk_completes_takes_no_more_than_its_length() {
    let mut deframer = Deframer::new(4 * MIB);
    deframer.push(Bytes::from(hex("00 00100000 01")));
    assert_eq!(deframer.next_message(), Ok(None));
    deframer.push(Bytes::from(vec![1; MIB - 1]));
    let body = deframer.next_message().unwrap().unwrap().body;
    assert_eq!(body.try_into_mut().unwrap().capacity(), MIB);
}

#[test]
fn p078_a_message_in_many_chunks_takes_no_more_than_its_length() {
    for length in [66_000, 146_000, 1_000_000, 4 * MIB - 1] {
        let message = RawMessage {
            compressed: false,
            body: Bytes::from(vec![1; length]),
        };
        let mut deframer = Deframer::new(4 * MIB);
        for chunk in encode_message(&message).unwrap().chunks(16 * 1024) {
            assert_eq!(deframer.next_message(), Ok(None));
            deframer.push(Bytes::copy_from_slice(chunk));
        }
        let body = deframer.next_message().unwrap().unwrap().body;
        assert_eq!(body.try_into_mut().unwrap().capacity(), length);
    }
}

#[test]
fn p079_what_waits_is_out_of_the_chunk_so_that_its_window_can_be_given_back() {
    let chunk = Bytes::from(hex("00 00000004 0102"));
    let mut deframer = Deframer::new(MIB);
    deframer.push(chunk.clone());
    assert_eq!(deframer.next_message(), Ok(None));
    assert!(chunk.is_unique(), "the deframer holds on to the chunk");
    assert_eq!(deframer.buffered(), 7);
}

#[test]
fn messages_that_lie_whole_in_a_chunk_are_not_copied() {
    let chunk = Bytes::from(hex("00 00000003 616263  00 00000002 6465  00 00000004 66"));
    let base = chunk.as_ptr();
    let mut deframer = Deframer::new(MIB);
    deframer.push(chunk);
    let first = deframer.next_message().unwrap().unwrap().body;
    let second = deframer.next_message().unwrap().unwrap().body;
    assert_eq!(
        (first.as_ptr(), second.as_ptr()),
        (base.wrapping_add(5), base.wrapping_add(13))
    );
    assert_eq!(deframer.next_message(), Ok(None));

    // The third crosses into the next chunk; the fourth lies whole in that one.
    let chunk = Bytes::from(hex("676869  00 00000001 7a"));
    let base = chunk.as_ptr();
    deframer.push(chunk);
    assert_eq!(deframer.next_message(), Ok(Some(plain(b"fghi"))));
    assert_eq!(
        deframer.next_message().unwrap().unwrap().body.as_ptr(),
        base.wrapping_add(8)
    );
}

#[test]
#[rustfmt::skip]
fn p087_a_stream_that_ends_inside_a_message_is_internal() {
    let stream = hex("00 00000002 0801  01 00000003 616263");
    let missing = [0, 4, 3, 2, 1, 2, 1,  0, 4, 3, 2, 1, 3, 2, 1,  0];
    for (cut, missing) in missing.into_iter().enumerate() {
        let mut deframer = Deframer::new(MIB);
        deframer.push(Bytes::copy_from_slice(&stream[..cut]));
        while deframer.next_message().unwrap().is_some() {}
        assert_eq!(deframer.missing(), missing, "cut at {cut}");
        match deframer.finish() {
            Ok(()) => assert_eq!(missing, 0, "cut at {cut}"),
            Err(error) => {
                assert_eq!(error, WireError::TruncatedMessage { missing }, "cut at {cut}");
                assert_eq!(error.code(), Code::Internal);
            }
        }
    }
}

#[test]
fn the_first_error_is_the_last_word() {
    let mut deframer = Deframer::new(MIB);
    deframer.push(Bytes::from(hex("07 00000000")));
    for _ in 0..3 {
        assert_eq!(deframer.next_message(), Err(WireError::InvalidFlag(7)));
        assert_eq!(deframer.finish(), Err(WireError::InvalidFlag(7)));
        deframer.push(Bytes::from(hex("00 00000001 aa")));
        assert_eq!(
            deframer.buffered(),
            0,
            "what comes behind an error is not kept"
        );
    }
}

#[test]
fn p283_the_largest_length_does_not_wrap() {
    let limit = 0xffff_ffff;
    let mut deframer = Deframer::new(limit);
    deframer.push(Bytes::from(hex("00 ffffffff 0102")));
    assert_eq!(deframer.next_message(), Ok(None));
    assert_eq!(deframer.missing(), limit - 2);
    assert!(deframer.capacity() <= 65 * 1024);
}
