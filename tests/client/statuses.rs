//! grpc-status, grpc-message, grpc-status-details-bin, and what stands for them.

use barewire::{Code, Origin, Status};

use crate::raw_server::*;
use crate::support::{DATA, END_STREAM, frame};
use crate::tokio;

/// How a call ends with these trailers, after headers and as Trailers-Only.
async fn endings(fields: &[(&str, &str)]) -> [Result<(), Status>; 2] {
    let after = heard_from(async |server, stream| {
        server
            .write(&[headers(stream), trailers(stream, fields)].concat())
            .await;
    })
    .await;
    let only = heard_from(async |server, stream| {
        server.write(&trailers_only(stream, fields)).await;
    })
    .await;
    [after.end, only.end]
}

#[tokio::test(start_paused = true)]
#[rustfmt::skip]
async fn p106_p107_p282_what_is_no_code_is_unknown() {
    let cases = [
        "", " ", "x", "+1", "-1", "01", "00", "0x0", "1.0", "1 ", " 1", "0,0", "OK", "ok", "５",
        "17", "99", "999999", "4294967295", "4294967296", "18446744073709551616",
    ];
    for value in cases {
        for end in endings(&[("grpc-status", value), ("grpc-message", "the server's words")]).await {
            // Blanks around a value may get lost on the way.
            let trimmed = value.trim_matches(' ');
            let status = end.expect_err(value);
            if trimmed == "1" && value != "1" {
                assert!([Code::Cancelled, Code::Unknown].contains(&status.code), "{value:?}: {status}");
                continue;
            }
            assert_eq!(status.code, Code::Unknown, "{value:?}: {status}");
            assert!(status.message.contains("the server's words"), "{value:?}: {status}");
            if value.parse::<u32>().is_ok() && !value.starts_with(['+', '0']) {
                assert!(status.message.contains(value), "the number is kept: {status}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn p106_each_code_arrives() {
    for code in Code::ALL {
        let number = code.number().to_string();
        for end in endings(&[("grpc-status", &number), ("grpc-message", "words")]).await {
            let status = end.unwrap_err();
            assert_eq!((status.code, &*status.message), (code, "words"));
            assert_eq!(status.origin, Origin::Peer);
            assert!(!status.unprocessed);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn of_two_statuses_none_holds() {
    for (first, second) in [("0", "0"), ("0", "5"), ("5", "0"), ("5", "5")] {
        for end in endings(&[("grpc-status", first), ("grpc-status", second)]).await {
            let status = end.unwrap_err();
            assert_eq!(status.code, Code::Unknown, "{first}, {second}: {status}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn p108_grpc_status_outweighs_the_http_status() {
    for (http, grpc, code) in [
        ("404", "5", Some(Code::NotFound)),
        ("200", "14", Some(Code::Unavailable)),
        ("503", "0", None),
        ("500", "7", Some(Code::PermissionDenied)),
    ] {
        let fields = [
            (":status", http),
            ("content-type", "application/grpc"),
            ("grpc-status", grpc),
        ];
        let heard = heard_from(async |server, stream| {
            server.write(&any_block(stream, END_STREAM, &fields)).await;
        })
        .await;
        assert_eq!(heard.end.err().map(|status| status.code), code, "{http}");
        // Also without a content-type that is gRPC's.
        let bare = [fields[0], fields[2]];
        let heard = heard_from(async |server, stream| {
            server.write(&any_block(stream, END_STREAM, &bare)).await;
        })
        .await;
        assert_eq!(heard.end.err().map(|status| status.code), code, "{http}");
        // And in trailers.
        let heard = heard_from(async |server, stream| {
            let head = any_block(stream, 0, &fields[..2]);
            server
                .write(&[head, trailers(stream, &fields[2..])].concat())
                .await;
        })
        .await;
        assert_eq!(heard.end.err().map(|status| status.code), code, "{http}");
    }
}

#[tokio::test(start_paused = true)]
#[rustfmt::skip]
async fn p110_a_damaged_text_arrives_and_changes_no_code() {
    let cases = [
        ("plain",             "plain"),
        ("100%25",            "100%"),
        ("%",                 "%"),
        ("%4",                "%4"),
        ("%zz",               "%zz"),
        ("a%2",               "a%2"),
        ("%e4%bd%a0",         "你"),             // lower-case hex
        ("%E4%BD%A0",         "你"),
        ("%ff",               "\u{fffd}"),
        ("%00",               "\0"),
        ("%0a%0D",            "\n\r"),
        ("%25%",              "%%"),
        ("%%41",              "%A"),
    ];
    for (encoded, text) in cases {
        for end in endings(&[("grpc-status", "5"), ("grpc-message", encoded)]).await {
            let status = end.unwrap_err();
            assert_eq!((status.code, &*status.message), (Code::NotFound, text), "{encoded}");
        }
        // Beside a success it is of no interest.
        let [after, _] = endings(&[("grpc-status", "0"), ("grpc-message", encoded)]).await;
        after.unwrap();
    }
}

#[tokio::test(start_paused = true)]
#[rustfmt::skip]
async fn p111_without_grpc_status_the_http_status_is_looked_up() {
    let table: &[(&str, Code)] = &[
        ("400", Code::Internal),
        ("401", Code::Unauthenticated),
        ("403", Code::PermissionDenied),
        ("404", Code::Unimplemented),
        ("429", Code::Unavailable),
        ("431", Code::Unknown),
        ("502", Code::Unavailable),
        ("503", Code::Unavailable),
        ("504", Code::Unavailable),
        ("200", Code::Unknown),
        ("204", Code::Unknown),
        ("302", Code::Unknown),
        ("405", Code::Unknown),
        ("408", Code::Unknown),
        ("409", Code::Unknown),
        ("415", Code::Unknown),
        ("418", Code::Unknown),
        ("500", Code::Unknown),
        ("501", Code::Unknown),
        ("505", Code::Unknown),
        ("599", Code::Unknown),
        ("800", Code::Unknown),
        ("999", Code::Unknown),
    ];
    for (http, code) in table {
        for content_type in [Some("application/grpc"), Some("text/html"), None] {
            let mut fields = vec![(":status", *http)];
            fields.extend(content_type.map(|value| ("content-type", value)));
            // The head alone, with a body, and with trailers that say nothing.
            type More = fn(u32) -> Vec<u8>;
            let rests: [(u8, More); 3] = [
                (END_STREAM, |_| Vec::new()),
                (0, |s| frame(DATA, END_STREAM, s, b"<html>sorry</html>")),
                (0, |s| trailers(s, &[("x-end", "1")])),
            ];
            for (index, (flags, rest)) in rests.into_iter().enumerate() {
                let heard = heard_from(async |server, stream| {
                    let head = any_block(stream, flags, &fields);
                    server.write(&[head, rest(stream)].concat()).await;
                })
                .await;
                let status = heard.end.expect_err(http);
                assert_eq!(status.origin, Origin::Local);
                // A body that is no message, in a response that says it is gRPC.
                if index == 1 && content_type == Some("application/grpc") {
                    assert_eq!(status.code, Code::Internal, "{http} {status}");
                    continue;
                }
                assert_eq!(status.code, *code, "{http} {content_type:?} {index}: {status}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn p113_an_answer_that_is_not_grpc_is_quoted() {
    let page = "<html>502 Bad Gateway ".to_owned() + &"x".repeat(100_000);
    for ends in [true, false] {
        let status = unary_to(async |server, stream| {
            let fields = [
                (":status", "502"),
                ("content-type", "text/html; charset=utf-8"),
            ];
            server.write(&any_block(stream, 0, &fields)).await;
            server.write(&data(stream, page.as_bytes())).await;
            if ends {
                server.write(&frame(DATA, END_STREAM, stream, &[])).await;
            } else {
                // Enough was read: nobody waits for the rest.
                assert_eq!(server.reset_of(stream).await, CANCEL);
            }
        })
        .await
        .unwrap_err();
        assert_eq!(status.code, Code::Unavailable);
        assert!(status.message.contains("text/html"), "{status}");
        assert!(status.message.contains("502 Bad Gateway"), "{status}");
        assert!(status.message.len() < 1500, "{}", status.message.len());
    }
}

#[tokio::test(start_paused = true)]
async fn p113_the_start_of_a_foreign_answer_is_told_though_the_rest_fails() {
    for end in [
        reset(1, INTERNAL_ERROR),
        goaway(0, 2, b""),
        frame(DATA, 0, 0, b"x"),
    ] {
        let status = unary_to(async |server, stream| {
            let fields = [(":status", "503"), ("content-type", "text/plain")];
            let body = data(stream, b"overloaded");
            let head = any_block(stream, 0, &fields);
            server.write(&[head, body, end].concat()).await;
        })
        .await
        .unwrap_err();
        assert_eq!(status.code, Code::Unavailable);
        assert!(status.message.contains("overloaded"), "{status}");
    }
}

#[tokio::test(start_paused = true)]
#[rustfmt::skip]
async fn p114_details_that_cannot_be_read_are_dropped_and_the_status_stays() {
    // google.rpc.Status { code: 5, message: "none" }
    let good = "CAUSBG5vbmU";
    let cases: &[(&str, &[&str], bool)] = &[
        ("good",                    &[good],                   true),
        ("padded",                  &["CAUSBG5vbmU="],         true),
        ("empty",                   &[""],                     false),
        ("no base64",               &["***"],                  false),
        ("half a character",        &["C"],                    false),
        ("bits left over",          &["CAUSBG5vbmV"],          true),      // lenient, as others
        ("no protobuf",             &["////"],                 false),
        ("cut",                     &["CAUSBG5v"],             false),
        ("another code",            &["CAcSBG5vbmU"],          false),
        ("twice",                   &[good, good],             false),
        ("joined by a comma",       &["CAUSBG5vbmU,CAUSBG5vbmU"], false),
        ("url-safe",                &["CAUSBG5vbm_"],          false),
    ];
    for (what, values, kept) in cases {
        let mut fields = vec![("grpc-status", "5"), ("grpc-message", "none")];
        fields.extend(values.iter().map(|value| ("grpc-status-details-bin", *value)));
        for end in endings(&fields).await {
            let status = end.unwrap_err();
            assert_eq!((status.code, &*status.message), (Code::NotFound, "none"), "{what}");
            assert_eq!(!status.details.is_empty(), *kept, "{what}: {:?}", status.details);
        }
        // And with a success.
        let fields: Vec<_> = fields.iter().map(|field| if field.0 == "grpc-status" { ("grpc-status", "0") } else { *field }).collect();
        let [after, _] = endings(&fields).await;
        after.unwrap_or_else(|status| panic!("{what}: {status}"));
    }
}

#[tokio::test(start_paused = true)]
async fn p060_undecodable_metadata_is_internal_unless_the_call_failed_anyway() {
    for value in ["***", "A", "A===", "AA=A", "-_"] {
        let initial = heard_from(async |server, stream| {
            let head = headers_with(stream, &[("x-bin", value)]);
            let rest = [message(stream, "a"), trailers_ok(stream)].concat();
            server.write(&[head, rest].concat()).await;
        })
        .await;
        assert_eq!(
            initial.end.expect_err(value).code,
            Code::Internal,
            "{value}"
        );

        let trailing = heard_from(async |server, stream| {
            let end = trailers(stream, &[("grpc-status", "0"), ("x-bin", value)]);
            server
                .write(&[answer_without_end(stream), end].concat())
                .await;
        })
        .await;
        assert_eq!(trailing.messages, ["a"]);
        assert_eq!(trailing.end.unwrap_err().code, Code::Internal, "{value}");

        for end in endings(&[("grpc-status", "9"), ("x-bin", value)]).await {
            let status = end.unwrap_err();
            assert_eq!(status.code, Code::FailedPrecondition, "{value}: {status}");
            assert_eq!(status.metadata.get_bin("x-bin"), None, "{value}");
        }
    }
}

fn answer_without_end(stream: u32) -> Vec<u8> {
    [headers(stream), message(stream, "a")].concat()
}
