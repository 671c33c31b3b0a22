//! RST_STREAM of the server, at each moment of a call.

use barewire::{Code, Origin};

use crate::raw_server::*;
use crate::tokio;

/// Error code, and what it becomes.
#[rustfmt::skip]
const TABLE: &[(u32, Code)] = &[
    (0,  Code::Internal),           // NO_ERROR: also with all data received
    (1,  Code::Internal),           // PROTOCOL_ERROR
    (2,  Code::Internal),           // INTERNAL_ERROR
    (3,  Code::Internal),           // FLOW_CONTROL_ERROR, D4
    (4,  Code::Internal),           // SETTINGS_TIMEOUT
    (5,  Code::Internal),           // STREAM_CLOSED
    (6,  Code::Internal),           // FRAME_SIZE_ERROR
    (7,  Code::Unavailable),        // REFUSED_STREAM
    (8,  Code::Cancelled),          // CANCEL
    (9,  Code::Internal),           // COMPRESSION_ERROR
    (10, Code::Internal),           // CONNECT_ERROR
    (11, Code::ResourceExhausted),  // ENHANCE_YOUR_CALM
    (12, Code::PermissionDenied),   // INADEQUATE_SECURITY
    (13, Code::Internal),           // HTTP_1_1_REQUIRED
    (14, Code::Unknown),            // no such code
    (0xffff_ffff, Code::Unknown),
];

/// What came before the reset.
#[rustfmt::skip]
const MOMENTS: &[(&str, fn(u32) -> Vec<u8>, &[&str])] = &[
    ("before headers", |_| Vec::new(),                                                        &[]),
    ("after headers",  headers,                                                               &[]),
    ("in a prefix",    |s| [headers(s), data(s, &encoded("a")[..3])].concat(),                &[]),
    ("in a message",   |s| [headers(s), message(s, "a"), data(s, &encoded("b")[..6])].concat(), &["a"]),
    ("after messages", |s| [headers(s), message(s, "a"), message(s, "b")].concat(),           &["a", "b"]),
];

#[tokio::test(start_paused = true)]
async fn p117_each_reset_becomes_its_code_at_each_moment() {
    for (what, before, messages) in MOMENTS {
        for (number, code) in TABLE {
            // One that was refused before it was answered is tried again: see transparent_retry.rs.
            if (*what, *number) == ("before headers", REFUSED_STREAM) {
                continue;
            }
            for burst in [true, false] {
                let heard = heard_from(async |server, stream| {
                    if burst {
                        let bytes = [before(stream), reset(stream, *number)];
                        server.write(&bytes.concat()).await;
                    } else {
                        server.write(&before(stream)).await;
                        idle().await;
                        server.write(&reset(stream, *number)).await;
                    }
                })
                .await;
                assert_eq!(heard.messages, *messages, "{what}, reset {number}");
                let status = heard.end.unwrap_err();
                assert_eq!(status.code, *code, "{what}, reset {number}: {status}");
                assert_eq!(status.origin, Origin::Local, "{what}, reset {number}");
                assert!(!status.unprocessed, "{what}, reset {number}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn p117_a_reset_ends_one_call_and_no_other() {
    let mut line = Line::new();
    let channel = line.channel.clone();
    let other = tokio::spawn({
        let channel = channel.clone();
        async move { unary(&channel, "other".to_owned()).await }
    });
    let mut server = line.accept().await;
    let open = server.request().await.stream;
    for (number, code) in TABLE.iter().filter(|(number, _)| *number != REFUSED_STREAM) {
        let (result, ()) = tokio::join!(unary(&channel, "ask".to_owned()), async {
            let stream = server.request().await.stream;
            server.write(&reset(stream, *number)).await;
        });
        assert_eq!(result.unwrap_err().code, *code, "{number}");
    }
    server.write(&answer(open, "well")).await;
    assert_eq!(other.await.unwrap().unwrap().message, "well");
    assert!(!line.has_dialled());
}

#[tokio::test(start_paused = true)]
async fn a_reset_is_not_answered_by_a_reset() {
    let mut line = Line::new();
    let channel = line.channel.clone();
    let (result, _server) = tokio::join!(unary(&channel, "ask".to_owned()), async {
        let mut server = line.accept().await;
        let stream = server.request().await.stream;
        server.messages_of(stream, 1).await;
        server.write(&reset(stream, INTERNAL_ERROR)).await;
        assert_eq!(server.unasked().await, []);
        server
    });
    assert_eq!(result.unwrap_err().code, Code::Internal);
}

#[tokio::test(start_paused = true)]
async fn a_reset_that_meets_a_blocked_send_ends_it() {
    let mut line = Line::new();
    let channel = line.channel.clone();
    let ((sent, heard), _server) = tokio::join!(
        async {
            let (mut outbound, mut inbound) = bidi(&channel, ()).await;
            // Far more than the window takes: this waits until the reset comes.
            let sent = within(outbound.send("x".repeat(1_000_000))).await;
            (sent, read_all(&mut inbound).await)
        },
        async {
            let mut server = line.accept().await;
            let stream = server.request().await.stream;
            idle().await;
            server.write(&reset(stream, INTERNAL_ERROR)).await;
            server
        }
    );
    let sent = sent.unwrap_err();
    assert_eq!(sent.code, Code::Internal, "{sent}");
    assert_eq!(heard.end.unwrap_err().code, Code::Internal);
}
