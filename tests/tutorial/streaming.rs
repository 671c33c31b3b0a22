//! Numbers out, numbers in, and a chat.

use barewire::Code;
use barewire::tutorial::proto::{chat, number_stream, sum_stream};

use crate::conversation::{Conversation, OK, call, client};
use crate::tokio;

#[tokio::test]
#[rustfmt::skip]
async fn numbers_come_up_to_the_limit() {
    let client = client().await;
    for (limit, count) in [(-5, 0), (0, 0), (1, 1), (5, 5), (3_000, 3_000)] {
        let request = number_stream::NumberRequest { limit };
        let path = "/number_stream.NumberService/GetNumbers";
        let (replies, ended) = call::<number_stream::NumberResponse>(&client, path, &[request]).await;
        let numbers: Vec<_> = replies.iter().map(|reply| reply.number).collect();
        assert_eq!(numbers, (0..count).collect::<Vec<_>>(), "{limit}");
        assert_eq!(ended, OK, "{limit}");
    }
}

#[tokio::test]
#[rustfmt::skip]
async fn a_sum_is_exact_or_out_of_range() {
    let client = client().await;
    let cases: &[(&[i32], Result<i32, &str>)] = &[
        (&[],                 Ok(0)),
        (&[1, 2, 3, 4, 5],    Ok(15)),
        (&[-7, 7, -1],        Ok(-1)),
        (&[i32::MAX],         Ok(i32::MAX)),
        (&[i32::MAX, 1, -1],  Ok(i32::MAX)),         // only the whole sum counts
        (&[i32::MAX, 1],      Err("2147483648")),
        (&[i32::MIN, -1],     Err("-2147483649")),
    ];
    for (numbers, sum) in cases {
        let requests: Vec<_> = numbers.iter().map(|number| sum_stream::NumberRequest { number: *number }).collect();
        let path = "/sum_stream.SumService/CalculateSum";
        let (replies, (code, text)) = call::<sum_stream::SumResponse>(&client, path, &requests).await;
        match sum {
            Ok(sum) => assert_eq!((replies[0].sum, code), (*sum, None), "{numbers:?}"),
            Err(sum) => {
                assert_eq!((replies.len(), code), (0, Some(Code::OutOfRange)), "{numbers:?}");
                assert_eq!(text, format!("the sum {sum} is not within int32, -2147483648 to 2147483647"));
            }
        }
    }
}

#[tokio::test]
async fn the_chat_answers_each_message_at_once() {
    let mut call = Conversation::open(&client().await, "/chat.ChatService/Chat").await;
    for message in ["hi", "", "你好"] {
        call.say(&chat::ChatRequest {
            message: message.to_owned(),
        });
        let reply: chat::ChatResponse = call.hear().await.unwrap();
        assert_eq!(reply.message, format!("You said: {message}"));
    }
    call.end();
    let (rest, ended) = call.hear_all::<chat::ChatResponse>().await;
    assert_eq!((rest, ended), (Vec::new(), OK));
}
