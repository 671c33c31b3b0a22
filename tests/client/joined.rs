//! Messages that are said faster than the connection gets its turn.

use barewire::{Code, Inbound, Outbound};

use crate::raw_server::*;
use crate::support::DATA;
use crate::tokio;

/// A call that may still be made again.
async fn unanswered_call(line: &mut Line) -> (Outbound<String>, Inbound<String>, RawServer) {
    let channel = line.channel.clone();
    let ((outbound, inbound), server) = tokio::join!(bidi(&channel, ()), async {
        let mut server = line.accept().await;
        server.request().await;
        server
    });
    (outbound, inbound, server)
}

/// A call whose response has begun: from here on there is only this attempt.
async fn answered_call(line: &mut Line) -> (Outbound<String>, Inbound<String>, RawServer) {
    let (outbound, mut inbound, mut server) = unanswered_call(line).await;
    server.write(&headers(1)).await;
    within(inbound.headers()).await.unwrap();
    (outbound, inbound, server)
}

#[tokio::test(start_paused = true)]
async fn small_messages_leave_together_and_none_waits_for_another() {
    let mut line = Line::new();
    leave_together(answered_call(&mut line).await).await;
    let mut line = Line::new();
    leave_together(unanswered_call(&mut line).await).await;
}

async fn leave_together(call: (Outbound<String>, Inbound<String>, RawServer)) {
    let (mut outbound, _inbound, mut server) = call;
    let texts: Vec<String> = (0..1_000)
        .map(|number| format!("message {number}"))
        .collect();
    for text in &texts {
        outbound.send(text.clone()).await.unwrap();
    }
    idle().await;
    let frames = server.unasked().await;
    let frames: Vec<_> = frames.iter().filter(|frame| frame.kind == DATA).collect();
    assert!(frames.len() <= 4, "{} DATA frames", frames.len());
    let sent: Vec<u8> = frames
        .iter()
        .flat_map(|frame| frame.payload.to_vec())
        .collect();
    let said: Vec<u8> = texts.iter().flat_map(|text| encoded(text)).collect();
    assert_eq!(sent, said);

    // One by one they leave one by one, each at once.
    for text in &texts[..10] {
        outbound.send(text.clone()).await.unwrap();
        let frame = within(server.frame_of(DATA)).await.unwrap();
        assert_eq!(*frame.payload, encoded(text));
    }
    // The end does not overtake what was said before it.
    for text in &texts[..10] {
        outbound.send(text.clone()).await.unwrap();
    }
    outbound.finish().unwrap();
    assert_eq!(server.messages_of(1, 10).await, texts[..10]);
}

#[tokio::test(start_paused = true)]
async fn what_left_together_is_said_again_with_what_waits() {
    let texts: Vec<String> = (0..100)
        .map(|number| number.to_string().repeat(20))
        .collect();
    // So many have left when the server turns the call away; the others wait for the connection's turn.
    for left in [0, 1, 50, 99] {
        let mut line = Line::new();
        let (mut outbound, mut inbound, mut server) = unanswered_call(&mut line).await;
        for text in &texts[..left] {
            outbound.send(text.clone()).await.unwrap();
        }
        idle().await;
        assert_eq!(within(server.messages_of(1, left)).await, texts[..left]);
        for text in &texts[left..] {
            outbound.send(text.clone()).await.unwrap();
        }
        server.write(&reset(1, REFUSED_STREAM)).await;
        outbound.finish().unwrap();
        let serving = async {
            let again = server.request().await.stream;
            let said = server.messages_of(again, texts.len()).await;
            server.write(&answer(again, "ok")).await;
            said
        };
        let (heard, said) = tokio::join!(read_all(&mut inbound), within(serving));
        assert_eq!(said, texts, "{left}");
        heard.end.unwrap();
        assert_eq!(heard.messages, ["ok"]);
    }
}

#[tokio::test(start_paused = true)]
async fn what_found_no_room_leaves_when_there_is_some_though_nobody_asks() {
    let mut line = Line::new();
    let (mut outbound, _inbound, mut server) = answered_call(&mut line).await;
    let text = "x".repeat(1_000);
    let length = encoded(&text).len();
    // One less than there is room for.
    let fit = FIRST_WINDOW / length - 1;
    for _ in 0..fit {
        outbound.send(text.clone()).await.unwrap();
    }
    idle().await;
    assert_eq!(
        server
            .unasked()
            .await
            .iter()
            .map(|frame| frame.payload.len())
            .sum::<usize>(),
        fit * length
    );
    // The first goes, the others are left to the connection.
    for _ in 0..3 {
        outbound.send(text.clone()).await.unwrap();
    }
    idle().await;
    let room = FIRST_WINDOW - fit * length;
    let came = server
        .unasked()
        .await
        .iter()
        .map(|frame| frame.payload.len())
        .sum::<usize>();
    assert_eq!(came, room);
    // The caller does nothing from here on.
    server
        .write(&[window(0, 100_000), window(1, 100_000)].concat())
        .await;
    idle().await;
    let came = server
        .unasked()
        .await
        .iter()
        .map(|frame| frame.payload.len())
        .sum::<usize>();
    assert_eq!(came, 3 * length - room);
    outbound.send("on".to_owned()).await.unwrap();
    let frame = within(server.frame_of(DATA)).await.unwrap();
    assert_eq!(*frame.payload, encoded("on"));
}

#[tokio::test(start_paused = true)]
async fn who_leaves_messages_to_a_connection_hears_that_it_is_gone() {
    for lost in [true, false] {
        let mut line = Line::new();
        let (mut outbound, mut inbound, mut server) = answered_call(&mut line).await;
        for _ in 0..2 {
            outbound.send("said".to_owned()).await.unwrap();
        }
        assert_eq!(server.messages_of(1, 2).await, ["said", "said"]);
        let code = if lost {
            drop(server);
            Code::Unavailable
        } else {
            server.write(&reset(1, INTERNAL_ERROR)).await;
            Code::Internal
        };
        idle().await;
        // The first is refused at once, or shows the others that they are.
        let first = outbound.send("lost".to_owned()).await;
        let second = outbound.send("lost".to_owned()).await;
        assert!(first.is_err() && second.is_err(), "{first:?} {second:?}");
        assert_eq!(within(inbound.next()).await.unwrap_err().code, code);
    }
}
