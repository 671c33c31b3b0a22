//! What h2 makes impossible to forgive: some faults of a call end its connection. Whoever is on another
//! one does not notice.

use barewire::{Code, Counter};

use crate::raw_server::{GRPC, block_frames, data, headers, message, trailers, trailers_ok};
use crate::scene::{Scene, Stage, counted, request};
use crate::support::{
    DATA, END_HEADERS, END_STREAM, HEADERS, block, encoded, frame, request_block,
};
use crate::tokio;

const PROTOCOL_ERROR: u32 = 1;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f25_what_h2_takes_for_a_fault_of_the_connection_ends_it_at_a_server() {
    let with = |name: &str| [request_block("Echo"), block(&[(name, "x")])].concat();
    let last = |stream, bytes: &[u8]| frame(DATA, END_STREAM, stream, bytes);
    let rows = [
        ("a name in upper case", request(3, &with("X-Upper"))),
        ("a name with a space", request(3, &with("x a"))),
        ("no name", request(3, &with(""))),
        (
            "DATA after END_STREAM",
            [
                request(3, &request_block("Never")),
                last(3, &encoded("a")),
                last(3, b""),
            ]
            .concat(),
        ),
        // An index above all of the tables.
        ("an error of HPACK", request(3, &[0xff, 0xff, 0x7f])),
    ];
    let scene = Scene::new().await;
    for (number, (what, bytes)) in (1..).zip(rows) {
        let mut caller = scene.raw().await;
        caller.say(&[bytes]).await;
        let (code, _) = caller.last_words().await;
        assert_eq!(code, PROTOCOL_ERROR, "{what}");
        counted(&scene.counters, Counter::Http2Errors, number).await;
    }
    scene.ends_well().await;
}

#[tokio::test(start_paused = true)]
async fn f25_what_h2_takes_for_a_fault_of_the_connection_ends_it_at_a_client() {
    let rows: [(&str, fn(u32) -> Vec<u8>); 3] = [
        ("a name in upper case", |s| {
            block_frames(s, 0, &block(&[&GRPC[..], &[("X-Upper", "x")]].concat()))
        }),
        ("a name with a space", |s| {
            let end = trailers(s, &[("grpc-status", "0"), ("x a", "x")]);
            [headers(s), message(s, "a"), end].concat()
        }),
        ("an error of HPACK", |s| {
            frame(HEADERS, END_HEADERS, s, &[0xff, 0xff, 0x7f])
        }),
    ];
    for (what, bytes) in rows {
        let mut stage = Stage::new().await;
        let heard = stage
            .heard(async |server, stream| server.write(&bytes(stream)).await)
            .await;
        let status = heard.end.expect_err(what);
        assert_eq!(status.code, Code::Unavailable, "{what}: {status}");
        let status = stage.ends_without_its_connection().await;
        assert_eq!(status.code, Code::Unavailable, "{what}: {status}");
    }
}

/// A client has done with a stream whose trailers came, and h2 lets what follows pass.
#[tokio::test(start_paused = true)]
async fn f25_data_behind_trailers_is_borne_by_a_client() {
    let mut stage = Stage::new().await;
    for _ in 0..10 {
        let heard = stage
            .heard(async |server, stream| {
                let whole = [headers(stream), message(stream, "a"), trailers_ok(stream)];
                let bytes = [whole.concat(), data(stream, &encoded("b"))];
                server.write(&bytes.concat()).await;
            })
            .await;
        assert_eq!(heard.messages, ["a"]);
        heard.end.unwrap();
    }
    stage.ends_well().await;
}
