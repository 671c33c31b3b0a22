//! How many messages a response has where one is due.

use barewire::Code;

use crate::raw_server::*;
use crate::tokio;

#[tokio::test(start_paused = true)]
#[rustfmt::skip]
async fn p096_p105_p135_p136_p137_exactly_one_message_is_due() {
    // messages, grpc-status                     what becomes of it
    let cases: [(&[&str], &str, Result<&str, Code>); 8] = [
        (&["a"],           "0",  Ok("a")),
        (&[],              "0",  Err(Code::Unimplemented)),
        (&["a", "b"],      "0",  Err(Code::Unimplemented)),
        (&["a", "b", "c"], "0",  Err(Code::Unimplemented)),
        (&[],              "5",  Err(Code::NotFound)),       // the normal form of a failure
        (&["a"],           "13", Err(Code::Internal)),       // an error outweighs the message
        (&["a"],           "5",  Err(Code::NotFound)),
        (&["a", "b"],      "5",  Err(Code::Unimplemented)),  // whichever is seen first
    ];
    for (messages, status, expected) in cases {
        for burst in [true, false] {
            let result = unary_to(async |server, stream| {
                let mut parts = vec![headers(stream)];
                parts.extend(messages.iter().map(|text| message(stream, text)));
                parts.push(trailers(stream, &[("grpc-status", status)]));
                if burst {
                    server.write(&parts.concat()).await;
                } else {
                    for part in parts {
                        server.try_write(&part).await;
                        idle().await;
                    }
                }
            })
            .await;
            let result = result.map(|answer| answer.message);
            let result = result.as_deref().map_err(|status| status.code);
            assert_eq!(result, expected, "{messages:?} {status} {burst}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn p096_trailers_only_that_says_ok_lacks_the_message() {
    let status = unary_to(async |server, stream| {
        server
            .write(&trailers_only(stream, &[("grpc-status", "0")]))
            .await;
    })
    .await
    .unwrap_err();
    assert_eq!(status.code, Code::Unimplemented, "{status}");
    // On a stream it is a stream of none.
    let heard = heard_from(async |server, stream| {
        server
            .write(&trailers_only(stream, &[("grpc-status", "0")]))
            .await;
    })
    .await;
    heard.end.unwrap();
}

#[tokio::test(start_paused = true)]
async fn p135_a_second_message_ends_the_call_at_once() {
    let mut line = Line::new();
    let channel = line.channel.clone();
    let (result, _server) = tokio::join!(unary(&channel, "ask".to_owned()), async {
        let mut server = line.accept().await;
        let stream = server.request().await.stream;
        let bytes = [headers(stream), message(stream, "a"), message(stream, "b")];
        server.write(&bytes.concat()).await;
        assert_eq!(server.reset_of(stream).await, CANCEL);
        server
    });
    assert_eq!(result.unwrap_err().code, Code::Unimplemented);
}

#[tokio::test(start_paused = true)]
async fn p137_the_answer_is_not_given_out_before_its_status() {
    let mut line = Line::new();
    let channel = line.channel.clone();
    let call = tokio::spawn(async move { unary(&channel, "ask".to_owned()).await });
    let mut server = line.accept().await;
    let stream = server.request().await.stream;
    server
        .write(&[headers(stream), message(stream, "a")].concat())
        .await;
    idle().await;
    assert!(!call.is_finished());
    server
        .write(&trailers(stream, &[("grpc-status", "13")]))
        .await;
    assert_eq!(call.await.unwrap().unwrap_err().code, Code::Internal);
}

#[tokio::test(start_paused = true)]
async fn p135_a_client_stream_is_answered_by_one_message() {
    for (messages, ends_well) in [(0, false), (1, true), (2, false)] {
        let mut line = Line::new();
        let channel = line.channel.clone();
        let (result, _server) = tokio::join!(
            async {
                let call = channel.client_streaming::<String, String>(path(), ());
                let (mut outbound, inbound) = within(call).await.unwrap();
                within(outbound.send("a".to_owned())).await.unwrap();
                outbound.finish().unwrap();
                within(inbound.single()).await
            },
            async {
                let mut server = line.accept().await;
                let stream = server.request().await.stream;
                server.messages_of(stream, usize::MAX).await;
                let body = message(stream, "one").repeat(messages);
                server
                    .write(&[headers(stream), body, trailers_ok(stream)].concat())
                    .await;
                server
            }
        );
        match result {
            Ok(answer) => assert!(ends_well && answer.message == "one"),
            Err(status) => {
                assert!(!ends_well);
                assert_eq!(status.code, Code::Unimplemented, "{status}");
            }
        }
    }
}
