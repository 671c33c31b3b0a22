//! `wire::compression`: P41, P42, P73, P80, P84–P86.
//!
//! The compressed bytes come from another implementation: zlib, by way of Python.

use barewire::wire::compression::{AcceptEncoding, Encoding, compress, decompress};
use barewire::wire::{Code, WireError};

use crate::support::headers;

#[test]
#[rustfmt::skip]
fn p041_a_coding_has_one_name() {
    let cases: &[(&[u8], Option<Encoding>)] = &[
        (b"identity", Some(Encoding::Identity)),
        (b"gzip",     Some(Encoding::Gzip)),
        (b"deflate",  Some(Encoding::Deflate)),
        (b"GZIP",     None),
        (b"x-gzip",   None),
        (b"gzip ",    None),
        (b"snappy",   None),
        (b"",         None),
        (b"\xff",     None),
    ];
    for (name, encoding) in cases {
        assert_eq!(Encoding::from_name(name), *encoding, "{}", name.escape_ascii());
        if let Some(encoding) = encoding {
            assert_eq!(encoding.header_value().as_bytes(), *name);
            assert_eq!(encoding.to_string().as_bytes(), *name);
        }
    }
}

#[test]
#[rustfmt::skip]
fn p042_accept_encoding_is_a_list_in_one_line_or_several() {
    let cases: &[(&[&str], &str)] = &[
        (&[],                              "identity"),                 // absent: identity only
        (&["identity"],                    "identity"),
        (&["gzip"],                        "identity, gzip"),           // identity is implied
        (&["gzip, deflate"],               "identity, gzip, deflate"),
        (&["deflate,gzip"],                "identity, gzip, deflate"),
        (&["gzip", "deflate"],             "identity, gzip, deflate"),  // two lines
        (&["identity,deflate"],            "identity, deflate"),
        (&[" gzip\t,\tdeflate "],          "identity, gzip, deflate"),
        (&["snappy, zstd, gzip"],          "identity, gzip"),           // unknown ones are no error
        (&["", ",,gzip,"],                 "identity, gzip"),
        (&["gzip;q=0.5"],                  "identity"),                 // gRPC has no weights
    ];
    for (lines, expected) in cases {
        let fields: Vec<_> = lines.iter().map(|line| ("grpc-accept-encoding", *line)).collect();
        let accepted = AcceptEncoding::parse(&headers(&fields));
        assert_eq!(accepted.header_value(), expected, "{lines:?}");
        assert_eq!(format!("{accepted} {accepted:?}"), format!("{expected} {expected}"));
        for encoding in [Encoding::Identity, Encoding::Gzip, Encoding::Deflate] {
            let listed = expected.contains(encoding.name());
            assert_eq!(accepted.contains(encoding), listed, "{lines:?} {encoding}");
        }
    }
}

#[test]
fn p080_flag_1_without_a_coding_is_internal() {
    let error = decompress(Encoding::Identity, b"abc", 10).unwrap_err();
    assert_eq!(error, WireError::CompressedWithoutEncoding);
    assert_eq!(error.code(), Code::Internal);
    assert!(error.to_string().contains("flag is 1"), "{error}");
}

#[test]
fn identity_changes_nothing() {
    assert_eq!(compress(Encoding::Identity, b"abc").unwrap(), "abc");
}

#[cfg(not(feature = "gzip"))]
mod without_gzip {
    use super::*;

    #[test]
    fn only_identity_is_supported() {
        assert_eq!(AcceptEncoding::SUPPORTED, AcceptEncoding::IDENTITY);
        for encoding in [Encoding::Gzip, Encoding::Deflate] {
            let expected = WireError::EncodingNotBuilt(encoding);
            assert_eq!(compress(encoding, b"abc").unwrap_err(), expected);
            assert_eq!(decompress(encoding, b"abc", 10).unwrap_err(), expected);
            assert_eq!(expected.code(), Code::Internal);
        }
    }
}

#[cfg(feature = "gzip")]
mod with_gzip {
    use super::*;
    use crate::support::{Random, hex};

    const HELLO: &[u8] = b"hello hello hello hello gRPC";
    const HELLO_GZIP: &str = "1f8b080000000000 0203 cb48cdc9c957c8c020d383029c01 0ee51f25 1c000000";
    const HELLO_ZLIB: &str = "78da cb48cdc9c957c8c020d383029c01 978d0a1d";

    /// A mebibyte of zeros: deflate says it in a thousand bytes, nearly all of them zero as well.
    fn mebibyte(head: &str, tail: &str) -> Vec<u8> {
        let start = hex(&format!("{head} edc13101000000c2a0f54f6d085fa0"));
        [start, vec![0; 1016], hex(&format!("3e03 {tail}"))].concat()
    }

    #[test]
    #[rustfmt::skip]
    fn p086_what_zlib_wrote_can_be_read() {
        let cases: &[(Encoding, &str, &[u8])] = &[
            (Encoding::Gzip,    HELLO_GZIP, HELLO),
            (Encoding::Gzip,    "1f8b080000000000 0203 0300 00000000 00000000", b""),
            (Encoding::Gzip,    "1f8b080000000000 0403 010300fcff616263 c2412435 03000000", b"abc"), // stored
            (Encoding::Gzip,    "1f8b080801000000 02ff 6d6573736167652e62696e00 cb4bcc4d4d0100 87cce071 05000000", b"named"),
            (Encoding::Deflate, HELLO_ZLIB, HELLO),
            (Encoding::Deflate, "78da 0300 00000001", b""),
            (Encoding::Deflate, "18d3 cb48cdc9c957c8c020d383029c01 978d0a1d", HELLO), // a window of 512 bytes
        ];
        for (encoding, bytes, message) in cases {
            let found = decompress(*encoding, &hex(bytes), 28).unwrap();
            assert_eq!(found, *message, "{encoding} {bytes}");
        }
    }

    #[test]
    fn p086_gzip_and_zlib_are_told_by_their_first_bytes() {
        let gzip = compress(Encoding::Gzip, HELLO).unwrap();
        assert_eq!(gzip[..4], hex("1f8b 08 00"), "magic, deflate, no flags");
        assert_eq!(
            gzip[gzip.len() - 8..],
            hex("0ee51f25 1c000000"),
            "CRC-32 and length"
        );
        let zlib = compress(Encoding::Deflate, HELLO).unwrap();
        assert_eq!(zlib[0], 0x78, "deflate with a window of 32 KiB");
        assert_eq!(zlib[zlib.len() - 4..], hex("978d0a1d"), "Adler-32");
    }

    #[test]
    fn p085_every_message_can_be_read_by_itself() {
        let mut random = Random::new(42);
        for encoding in [Encoding::Gzip, Encoding::Deflate] {
            for length in [0, 1, 2, 100, 70_000] {
                let body = random.bytes(length);
                let compressed = compress(encoding, &body).unwrap();
                let restored = decompress(encoding, &compressed, length).unwrap();
                assert!(restored == body, "{encoding} of {length} bytes");
            }
        }
    }

    #[test]
    fn p073_decompression_stops_one_byte_past_the_limit() {
        let cases = [
            (
                Encoding::Gzip,
                mebibyte("1f8b0800000000000203", "1cea38a7 00001000"),
            ),
            (Encoding::Deflate, mebibyte("78da", "00f00001")),
        ];
        for (encoding, bomb) in cases {
            assert!(decompress(encoding, &bomb, 1 << 20).unwrap() == vec![0; 1 << 20]);
            for limit in [(1 << 20) - 1, 4096, 0] {
                let error = decompress(encoding, &bomb, limit).unwrap_err();
                assert_eq!(error, WireError::DecompressedTooLarge { limit });
                assert_eq!(error.code(), Code::ResourceExhausted, "P74");
            }
        }
    }

    #[test]
    fn p073_a_bomb_does_not_go_off() {
        let bomb = compress(Encoding::Gzip, &vec![0; 64 << 20]).unwrap();
        assert!(bomb.len() < 100_000);
        let error = decompress(Encoding::Gzip, &bomb, 4096).unwrap_err();
        assert_eq!(error, WireError::DecompressedTooLarge { limit: 4096 });
    }

    #[test]
    fn what_is_restored_takes_no_more_memory_than_its_length() {
        let body = vec![7; 3_000_000];
        for encoding in [Encoding::Gzip, Encoding::Deflate] {
            let compressed = compress(encoding, &body).unwrap();
            let restored = decompress(encoding, &compressed, usize::MAX).unwrap();
            let capacity = restored.try_into_mut().unwrap().capacity();
            assert_eq!(capacity, body.len(), "{encoding}");
        }
    }

    #[test]
    fn a_length_that_gzip_names_is_not_believed() {
        let compressed = compress(Encoding::Gzip, b"four").unwrap();
        for length in [0, 3, 5, u32::MAX] {
            let mut liar = compressed.to_vec();
            let end = liar.len() - 4;
            liar[end..].copy_from_slice(&length.to_le_bytes());
            let error = decompress(Encoding::Gzip, &liar, usize::MAX).unwrap_err();
            assert_eq!(error.code(), Code::Internal, "{length}");
        }
    }

    #[test]
    fn a_limit_that_cannot_be_reached_is_no_limit() {
        assert_eq!(
            decompress(Encoding::Gzip, &hex(HELLO_GZIP), usize::MAX).unwrap(),
            HELLO
        );
    }

    #[test]
    fn p084_a_flipped_or_missing_byte_is_internal() {
        for (encoding, bytes) in [
            (Encoding::Gzip, HELLO_GZIP),
            (Encoding::Deflate, HELLO_ZLIB),
        ] {
            let whole = hex(bytes);
            for place in 0..whole.len() {
                let cut = decompress(encoding, &whole[..place], 1000).unwrap_err();
                assert!(
                    matches!(cut, WireError::CorruptMessage { .. }),
                    "cut at {place}: {cut}"
                );
                assert_eq!(cut.code(), Code::Internal);

                // Flags, time, level and system of the gzip header may be anything.
                if encoding == Encoding::Gzip && (3..10).contains(&place) {
                    continue;
                }
                let mut flipped = whole.clone();
                flipped[place] ^= 0xff;
                match decompress(encoding, &flipped, 1000) {
                    Ok(message) => panic!("flipped at {place}: {message:?}"),
                    Err(error) => assert_eq!(error.code(), Code::Internal, "{place}: {error}"),
                }
            }
        }
    }

    #[test]
    #[rustfmt::skip]
    fn p084_what_is_no_message_of_the_coding_is_internal() {
        let cases: &[(Encoding, &str)] = &[
            (Encoding::Gzip,    ""),
            (Encoding::Gzip,    "0801"),
            (Encoding::Gzip,    HELLO_ZLIB),
            (Encoding::Deflate, ""),
            (Encoding::Deflate, HELLO_GZIP),
            (Encoding::Deflate, "cb48cdc9c957c8c020d383029c01"),                // raw deflate
            (Encoding::Deflate, "78f9 062c0215 cb00110a98647a50803300 978d0a1d"), // wants a dictionary
        ];
        for (encoding, bytes) in cases {
            let error = decompress(*encoding, &hex(bytes), 1000).unwrap_err();
            let expected = matches!(&error, WireError::CorruptMessage { encoding: e, .. } if e == encoding);
            assert!(expected, "{encoding} {bytes}: {error}");
            assert_eq!(error.code(), Code::Internal);
        }
    }

    #[test]
    #[rustfmt::skip]
    fn a_message_is_one_member_with_nothing_behind_it() {
        let cases: &[(Encoding, String, usize)] = &[
            (Encoding::Gzip,    format!("{HELLO_GZIP} {HELLO_GZIP}"), 32),   // a second member
            (Encoding::Gzip,    format!("{HELLO_GZIP} 00"),            1),
            (Encoding::Gzip,    format!("{HELLO_GZIP} 1f8b"),          2),
            (Encoding::Deflate, format!("{HELLO_ZLIB} {HELLO_ZLIB}"), 20),
            (Encoding::Deflate, format!("{HELLO_ZLIB} 0a"),            1),
        ];
        for (encoding, bytes, count) in cases {
            let error = decompress(*encoding, &hex(bytes), 1000).unwrap_err();
            let expected = WireError::BytesAfterMessage { encoding: *encoding, count: *count };
            assert_eq!(error, expected, "{bytes}");
            assert_eq!(error.code(), Code::Internal);
        }
    }

    #[test]
    fn both_codings_are_supported() {
        assert_eq!(
            AcceptEncoding::SUPPORTED.header_value(),
            "identity, gzip, deflate"
        );
    }
}
