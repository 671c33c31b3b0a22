//! What holds whatever the value: 25 properties of the grammar, each for 10,000 values by chance.
//!
//! The first seven are those of the fuzz targets, with inputs made of the pieces of their grammar. In a
//! build without compression those about it are left out.

use std::time::Duration;

use barewire::wire::compression::{compress, decompress};
use barewire::wire::decode_cost::{decode_cost, decode_cost_limit};
use barewire::wire::framing::{encode_message, prefix};
use barewire::wire::header_size::{check_header_list, header_list_size};
use barewire::wire::percent::{percent_decode, percent_encode};
use barewire::wire::retry::Pushback;
use barewire::wire::status_details::details_agree;
use barewire::wire::timeout::{TIMEOUT_LIMIT, format_timeout, parse_timeout};
use barewire::wire::{
    AcceptEncoding, Code, ContentType, Deframer, Encoding, Metadata, MethodPath, RawMessage,
    Status, Trailers, WireError,
};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::oracles;
use crate::support::Random;

const CASES: usize = 10_000;

#[rustfmt::skip]
const PROPERTIES: [(&str, fn(&mut Random)); 25] = [
    ("messages are found however they are cut",              |random| oracles::deframer(&a_stream(random))),
    ("a request is written as it is read",                   |random| oracles::request_headers(&a_request(random))),
    ("trailers have one outcome",                            |random| oracles::trailers(&some_trailers(random))),
    ("metadata is base64 or refused",                        |random| oracles::metadata(&some_fields(random))),
    ("a text comes through percent-encoding",                |random| oracles::percent(&of_pieces(random, &["%", "%4", "41", "%E4%BD%A0", "%c3%af", " ", "~", "\u{7f}", "\n", "ä", "x"], 12))),
    ("a timeout is read as the grammar says",                |random| oracles::timeout(&of_pieces(random, &["0", "9", "00", "12345678", "H", "M", "S", "m", "u", "n", "x", "+", " "], 4))),
    ("what is compressed is restored, within limits",        |random| if compresses() { oracles::gzip_message(&some_bytes(random, 200)) }),
    ("messages come out as they went in",                    messages_come_out_as_they_went_in),
    ("five bytes tell that a message is too long",           five_bytes_tell_that_a_message_is_too_long),
    ("a stream that is cut is never whole",                  a_stream_that_is_cut_is_never_whole),
    ("any text comes back from percent-encoding",            any_text_comes_back),
    ("percent-decoding makes nothing longer",                decoding_makes_nothing_longer),
    ("a longer timeout is not sent as a shorter one",        a_longer_timeout_is_not_shorter),
    ("a timeout is sent in full, and hardly more",           a_timeout_is_sent_in_full),
    ("a text of metadata comes back",                        a_text_of_metadata_comes_back),
    ("bytes of metadata come back",                          bytes_of_metadata_come_back),
    ("a path is two names behind two slashes",               a_path_is_two_names),
    ("a content type is gRPC's or not",                      a_content_type_is_grpc_or_not),
    ("a status comes back from its trailers",                a_status_comes_back),
    ("only sixteen numbers are codes of failures",           only_sixteen_numbers_are_codes),
    ("a damaged message is never another one",               a_damaged_message_is_never_another_one),
    ("the size of a header list is the sum of its fields",   a_header_list_is_the_sum_of_its_fields),
    ("a coding is accepted if it is named",                  a_coding_is_accepted_if_it_is_named),
    ("a pushback is a number of 31 bits, or never",          a_pushback_is_a_number_or_never),
    ("what a message costs is bounded by its bytes",         a_cost_is_bounded),
];

#[test]
fn twenty_five_properties_hold_for_ten_thousand_values_each() {
    // A panic says which value; this says which property, and how to come to it again.
    for (number, (name, holds)) in (1..).zip(PROPERTIES) {
        println!("{name}: seed {number}");
        let mut random = Random::new(number);
        for _ in 0..CASES {
            holds(&mut random);
        }
    }
}

fn compresses() -> bool {
    AcceptEncoding::SUPPORTED.contains(Encoding::Gzip)
}

/// Up to so many bytes.
fn some_bytes(random: &mut Random, limit: usize) -> Vec<u8> {
    let length = random.below(limit + 1);
    random.bytes(length)
}

fn of<'a, T>(random: &mut Random, choices: &'a [T]) -> &'a T {
    &choices[random.below(choices.len())]
}

/// Up to so many of these, one after the other.
fn of_pieces(random: &mut Random, pieces: &[&str], limit: usize) -> Vec<u8> {
    let count = random.below(limit + 1);
    (0..count)
        .flat_map(|_| of(random, pieces).bytes())
        .collect()
}

/// A text of printable ASCII and of what is beyond it.
fn some_text(random: &mut Random, limit: usize) -> String {
    let count = random.below(limit + 1);
    let letters = (0..count).map(|_| match random.below(4) {
        0 => '%',
        1 => *of(random, &['ä', '你', '\u{1f980}', '\n', '\u{7f}', '\0']),
        _ => char::from(0x20 + u8::try_from(random.below(95)).unwrap()),
    });
    letters.collect()
}

fn printable(random: &mut Random, limit: usize) -> String {
    let count = random.below(limit + 1);
    let letters = (0..count).map(|_| char::from(0x20 + u8::try_from(random.below(95)).unwrap()));
    letters.collect()
}

/// The size of chunks, then messages, some of them spoiled.
fn a_stream(random: &mut Random) -> Vec<u8> {
    let mut stream = vec![1 + u8::try_from(random.below(20)).unwrap()];
    for _ in 0..random.below(5) {
        let body = some_bytes(random, 30);
        stream.push(*of(random, &[0, 0, 0, 1, 1, 2, 0xff]));
        let length = match random.below(12) {
            0 => 100_001,
            1 => body.len() + 1,
            _ => body.len(),
        };
        stream.extend(u32::try_from(length).unwrap().to_be_bytes());
        stream.extend(body);
    }
    let kept = if random.below(3) == 0 {
        random.below(stream.len()) + 1
    } else {
        stream.len()
    };
    stream.truncate(kept);
    stream
}

fn some_fields(random: &mut Random) -> Vec<u8> {
    let names = [
        "x",
        "x-bin",
        "y-bin",
        "grpc-timeout",
        "grpc-encoding",
        "grpc-accept-encoding",
        "grpc-status",
        "grpc-message",
        "grpc-status-details-bin",
        "content-type",
        "te",
        "host",
        "user-agent",
    ];
    let values = [
        "",
        "a",
        " a ",
        "AA==",
        "AA",
        "***",
        "q6ur, AA",
        "5S",
        "5x",
        "gzip",
        "identity, br",
        "0",
        "5",
        "17",
        "CAUSBG5vbmU",
        "%E4",
        "application/grpc",
        "application/grpc+proto",
        "trailers",
    ];
    let mut bytes = Vec::new();
    for _ in 0..random.below(6) {
        let line = format!("{}: {}\n", of(random, &names), of(random, &values));
        bytes.extend(line.bytes());
    }
    bytes
}

fn a_request(random: &mut Random) -> Vec<u8> {
    let methods = ["POST", "POST", "POST", "GET", "PO ST"];
    let paths = [
        "/a/b",
        "http://h/a/b",
        "/a/b?c",
        "/a",
        "*",
        "http://h:1/a.B/C",
        "",
    ];
    let mut bytes = format!("{} {}\n", of(random, &methods), of(random, &paths)).into_bytes();
    if random.below(4) > 0 {
        bytes.extend(b"content-type: application/grpc\n");
    }
    bytes.extend(some_fields(random));
    bytes
}

fn some_trailers(random: &mut Random) -> Vec<u8> {
    let mut bytes = format!("{}\n", 100 + random.below(900)).into_bytes();
    bytes.extend(some_fields(random));
    bytes
}

fn messages_come_out_as_they_went_in(random: &mut Random) {
    let count = random.below(6);
    let messages: Vec<RawMessage> = (0..count)
        .map(|_| RawMessage {
            compressed: random.below(2) == 1,
            body: some_bytes(random, 60).into(),
        })
        .collect();
    let encoded = messages
        .iter()
        .map(|message| encode_message(message).unwrap());
    let mut stream = Bytes::from(encoded.collect::<Vec<_>>().concat());
    let mut deframer = Deframer::new(60);
    let mut found = Vec::new();
    while !stream.is_empty() {
        let length = 1 + random.below(stream.len());
        deframer.push(stream.split_to(length));
        while let Some(message) = deframer.next_message().unwrap() {
            found.push(message);
        }
    }
    deframer.finish().unwrap();
    assert_eq!(found, messages);
}

fn five_bytes_tell_that_a_message_is_too_long(random: &mut Random) {
    let limit = random.below(1 << 20);
    let length = match random.below(3) {
        0 => limit,
        1 => limit + 1,
        _ => random.below(1 << 32),
    };
    let mut deframer = Deframer::new(limit);
    deframer.push(Bytes::copy_from_slice(&prefix(false, length).unwrap()));
    let found = deframer.next_message();
    let expected = match length {
        0 => Ok(Some(RawMessage {
            compressed: false,
            body: Bytes::new(),
        })),
        length if length > limit => Err(WireError::MessageTooLarge { length, limit }),
        _ => Ok(None),
    };
    assert_eq!(found, expected, "{length} of {limit}");
}

fn a_stream_that_is_cut_is_never_whole(random: &mut Random) {
    let body = Bytes::from(some_bytes(random, 60));
    let whole = encode_message(&RawMessage {
        compressed: false,
        body,
    });
    let whole = whole.unwrap();
    let cut = random.below(whole.len());
    let mut deframer = Deframer::new(60);
    deframer.push(whole.slice(..cut));
    assert_eq!(
        deframer.next_message(),
        Ok(None),
        "{cut} of {}",
        whole.len()
    );
    let is_cut =
        matches!(deframer.finish(), Err(WireError::TruncatedMessage { missing }) if missing > 0);
    assert_eq!(is_cut, cut > 0, "{cut} of {}", whole.len());
}

fn any_text_comes_back(random: &mut Random) {
    let text = some_text(random, 30);
    let encoded = percent_encode(&text);
    assert!(
        encoded.bytes().all(|byte| (0x20..0x7f).contains(&byte)),
        "{text:?}"
    );
    assert_eq!(percent_decode(encoded.as_bytes()), text);
}

fn decoding_makes_nothing_longer(random: &mut Random) {
    let bytes = some_bytes(random, 30);
    let decoded = percent_decode(&bytes);
    // What is no UTF-8 becomes a character of three bytes at the most for each byte.
    assert!(decoded.chars().count() <= bytes.len(), "{bytes:02x?}");
}

fn some_duration(random: &mut Random) -> Duration {
    // Of every order of size, up to a hundred years.
    let bits = random.below(62);
    Duration::from_nanos(random.next() >> (63 - bits).min(63)).min(TIMEOUT_LIMIT)
}

fn sent(timeout: Duration) -> Duration {
    parse_timeout(format_timeout(timeout).as_bytes()).unwrap()
}

fn a_longer_timeout_is_not_shorter(random: &mut Random) {
    let (one, other) = (some_duration(random), some_duration(random));
    let (shorter, longer) = (one.min(other), one.max(other));
    assert!(sent(shorter) <= sent(longer), "{shorter:?}, {longer:?}");
}

fn a_timeout_is_sent_in_full(random: &mut Random) {
    let timeout = some_duration(random);
    let found = sent(timeout);
    assert!(found >= timeout, "{timeout:?} became {found:?}");
    assert!(
        found <= timeout + timeout / 99_999 + Duration::from_nanos(1),
        "{timeout:?}, {found:?}"
    );
    assert_eq!(sent(found), found, "what was rounded once");
}

fn a_name(random: &mut Random) -> String {
    let count = 1 + random.below(8);
    let letters = b"abcxyz0189-_.";
    let letters = (0..count).map(|_| char::from(*of(random, letters)));
    format!("x{}", letters.collect::<String>())
}

fn a_text_of_metadata_comes_back(random: &mut Random) {
    let (name, value) = (a_name(random), printable(random, 20));
    let mut metadata = Metadata::new();
    let Ok(()) = metadata.append(&name, &value) else {
        // That is for bytes.
        assert!(name.ends_with("-bin"), "{name}: {value:?}");
        return;
    };
    let again = Metadata::from_headers(metadata.into_headers()).unwrap();
    assert_eq!(again.get(&name), Some(&*value), "{name}");
    assert_eq!(again.len(), 1);
}

fn bytes_of_metadata_come_back(random: &mut Random) {
    let name = a_name(random) + "-bin";
    let count = 1 + random.below(4);
    let values: Vec<Vec<u8>> = (0..count).map(|_| some_bytes(random, 20)).collect();
    let mut metadata = Metadata::new();
    for value in &values {
        metadata.append_bin(&name, value).unwrap();
    }
    let headers = metadata.into_headers();
    for value in headers.get_all(&*name) {
        assert!(
            value.as_bytes().iter().all(u8::is_ascii_graphic),
            "{value:?}"
        );
    }
    let again = Metadata::from_headers(headers).unwrap();
    assert!(
        again
            .get_all_bin(&name)
            .eq(values.iter().cloned().map(Bytes::from))
    );
}

fn a_path_is_two_names(random: &mut Random) {
    let pieces = ["/", "/", "a", "B", ".", "?", "%41", "x/y"];
    let text = String::from_utf8(of_pieces(random, &pieces, 6)).unwrap();
    let Ok(path) = text.parse::<http::uri::PathAndQuery>() else {
        return;
    };
    let text = path.as_str().to_owned();
    let names = text
        .strip_prefix('/')
        .and_then(|rest| rest.rsplit_once('/'));
    let names = names.filter(|(service, method)| !service.is_empty() && !method.is_empty());
    match MethodPath::parse(path) {
        Ok(found) => {
            assert_eq!(found.as_str(), text);
            assert_eq!(Some((found.service(), found.method())), names, "{text}");
        }
        Err(error) => assert_eq!((names, error.code()), (None, Code::Unimplemented), "{text}"),
    }
}

fn a_content_type_is_grpc_or_not(random: &mut Random) {
    let pieces = [
        "application/grpc",
        "Application/GRPC",
        "+proto",
        "+PROTO",
        "+json",
        ";",
        " ",
        "charset=utf-8",
        "-web",
        "text/html",
        "/",
    ];
    let text = String::from_utf8(of_pieces(random, &pieces, 4)).unwrap();
    let lower = text.to_ascii_lowercase();
    let essence = lower.split(';').next().unwrap().trim();
    let expected = match essence {
        "application/grpc" => Some(ContentType::Grpc),
        "application/grpc+proto" => Some(ContentType::GrpcProto),
        _ => None,
    };
    assert_eq!(ContentType::parse(text.as_bytes()), expected, "{text:?}");
}

fn a_status_comes_back(random: &mut Random) {
    let code = *of(random, &Code::ALL);
    let mut metadata = Metadata::new();
    metadata.append("x-why", &printable(random, 10)).unwrap();
    metadata
        .append_bin("x-why-bin", &some_bytes(random, 10))
        .unwrap();
    let status = Status::new(code, some_text(random, 20)).with_metadata(metadata.clone());
    let trailers = Trailers {
        outcome: Err(status.clone()),
        metadata: Metadata::new(),
    };
    let found = Trailers::parse(trailers.into_headers(), StatusCode::OK);
    let found = found.outcome.unwrap_err();
    assert_eq!((found.code, &found.message), (status.code, &status.message));
    assert_eq!(found.metadata.get("x-why"), metadata.get("x-why"));
    assert_eq!(
        found.metadata.get_bin("x-why-bin"),
        metadata.get_bin("x-why-bin")
    );
    // What others made of it goes with it or not, but damages nothing.
    assert!(details_agree(&[], code));
    let _ = details_agree(&some_bytes(random, 20), code);
}

fn only_sixteen_numbers_are_codes(random: &mut Random) {
    let number = match random.below(3) {
        0 => u32::try_from(random.below(20)).unwrap(),
        _ => u32::try_from(random.below(1 << 32)).unwrap(),
    };
    let code = Code::from_number(number);
    assert_eq!(code.is_some(), (1..=16).contains(&number), "{number}");
    assert!(code.is_none_or(|code| u32::from(code.number()) == number));
    let mut headers = HeaderMap::new();
    headers.append("grpc-status", HeaderValue::from(number));
    let outcome = Trailers::parse(headers, StatusCode::OK).outcome;
    match number {
        0 => outcome.unwrap(),
        _ => assert_eq!(outcome.unwrap_err().code, code.unwrap_or(Code::Unknown)),
    }
}

fn a_damaged_message_is_never_another_one(random: &mut Random) {
    if !compresses() {
        return;
    }
    let encoding = *of(random, &[Encoding::Gzip, Encoding::Deflate]);
    let body = some_bytes(random, 60);
    let mut compressed = compress(encoding, &body).unwrap().to_vec();
    let longer = [&*compressed, &some_bytes(random, 5), b"x"].concat();
    let found = decompress(encoding, &longer, 1_000);
    assert_eq!(found.unwrap_err().code(), Code::Internal, "{longer:02x?}");
    let place = random.below(compressed.len());
    compressed[place] ^= 1 << random.below(8);
    match decompress(encoding, &compressed, 1_000) {
        // Some bits mean nothing, such as those of the time in the head of gzip.
        Ok(found) => assert_eq!(found, body, "{compressed:02x?}"),
        Err(error) => assert!([Code::Internal, Code::ResourceExhausted].contains(&error.code())),
    }
}

fn a_header_list_is_the_sum_of_its_fields(random: &mut Random) {
    let mut headers = HeaderMap::new();
    let mut sum = 0;
    for _ in 0..random.below(8) {
        let (name, value) = (a_name(random), printable(random, 20));
        sum += name.len() + value.len() + 32;
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        headers.append(name, HeaderValue::from_str(&value).unwrap());
    }
    assert_eq!(header_list_size(&headers), sum);
    let (size_limit, field_limit) = (random.below(2 * sum + 1), random.below(9));
    let fits = sum <= size_limit && headers.len() <= field_limit;
    let checked = check_header_list(sum, headers.len(), size_limit, field_limit);
    assert_eq!(checked.is_ok(), fits);
}

fn a_coding_is_accepted_if_it_is_named(random: &mut Random) {
    let mut headers = HeaderMap::new();
    let (mut gzip, mut deflate) = (false, false);
    for _ in 0..random.below(3) {
        let mut names = Vec::new();
        for _ in 0..random.below(4) {
            let name = *of(
                random,
                &["identity", "gzip", "deflate", "br", "gzipp", "", "g zip"],
            );
            gzip |= name == "gzip";
            deflate |= name == "deflate";
            let blanks = " ".repeat(random.below(3));
            names.push(format!("{blanks}{name}{blanks}"));
        }
        let line = HeaderValue::from_str(&names.join(",")).unwrap();
        headers.append("grpc-accept-encoding", line);
    }
    let found = AcceptEncoding::parse(&headers);
    assert!(found.contains(Encoding::Identity));
    assert_eq!(found.contains(Encoding::Gzip), gzip, "{headers:?}");
    assert_eq!(found.contains(Encoding::Deflate), deflate, "{headers:?}");
}

fn a_pushback_is_a_number_or_never(random: &mut Random) {
    let pieces = ["0", "1", "214748364", "7", "8", "-", "+", " ", "x", "."];
    let text = String::from_utf8(of_pieces(random, &pieces, 4)).unwrap();
    let mut metadata = Metadata::new();
    metadata.append("grpc-retry-pushback-ms", &text).unwrap();
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse::<u64>().ok().filter(|_| digits);
    let expected = match number {
        Some(number) if number <= 0x7fff_ffff => Pushback::After(Duration::from_millis(number)),
        _ => Pushback::Never,
    };
    assert_eq!(Pushback::parse(&metadata), expected, "{text:?}");
}

fn a_cost_is_bounded(random: &mut Random) {
    // Of pieces that read as fields, and long enough to be read at all now and then.
    let count = if random.below(50) == 0 { 1_500 } else { 40 };
    let pieces = [0x0a, 0x12, 0x00, 0x02, 0x08, 0x01, 0x80, 0xff];
    let message: Vec<u8> = (0..count).map(|_| *of(random, &pieces)).collect();
    let (cost, limit) = (decode_cost(&message), decode_cost_limit(message.len()));
    assert!(message.len() <= cost && cost <= limit, "{message:02x?}");
    assert!(
        limit <= message.len() + 160 * message.len(),
        "{message:02x?}"
    );
}
