//! The three greeters.

use barewire::Code;
use barewire::tutorial::proto::{greet, hellostreamingworld, helloworld};

use crate::conversation::{Conversation, OK, call, client};
use crate::tokio;

fn you() -> helloworld::HelloRequest {
    helloworld::HelloRequest {
        name: "you".to_owned(),
    }
}

#[tokio::test]
#[rustfmt::skip]
async fn each_greeting_has_its_text() {
    let client = client().await;
    let ten: Vec<String> = (0..10).map(|number| format!("Hello number {number}, you!")).collect();
    let ten: Vec<&str> = ten.iter().map(String::as_str).collect();
    let cases: &[(&str, &[&str])] = &[
        ("/helloworld.Greeter/SayHello",               &["Hello, you!"]),
        ("/helloworld.Greeter/SayHello2",              &["Hello again, you!"]),
        ("/helloworld.Greeter/SayHelloStreamReply",    &ten),
        ("/hellostreamingworld.MultiGreeter/sayHello", &ten),
        ("/greet.Greeter/SayHello",                    &["Hello, you!"]),
    ];
    for (path, greetings) in cases {
        let (replies, ended) = call::<helloworld::HelloReply>(&client, path, &[you()]).await;
        let texts: Vec<_> = replies.iter().map(|reply| reply.message.as_str()).collect();
        assert_eq!(texts, *greetings, "{path}");
        assert_eq!(ended, OK, "{path}");
    }
}

#[tokio::test]
async fn an_empty_name_is_greeted_too() {
    let request = greet::HelloRequest::default();
    let path = "/greet.Greeter/SayHello";
    let (replies, ended) = call::<greet::HelloReply>(&client().await, path, &[request]).await;
    assert_eq!(replies[0].message, "Hello, !");
    assert_eq!(ended, OK);
}

#[tokio::test]
async fn a_bidi_greeting_comes_before_the_next_request() {
    let mut call =
        Conversation::open(&client().await, "/helloworld.Greeter/SayHelloBidiStream").await;
    for name in ["one", "two", "three"] {
        call.say(&helloworld::HelloRequest {
            name: name.to_owned(),
        });
        let reply: helloworld::HelloReply = call.hear().await.unwrap();
        assert_eq!(reply.message, format!("Hello, {name}!"));
    }
    call.end();
    let (rest, ended) = call.hear_all::<helloworld::HelloReply>().await;
    assert_eq!((rest, ended), (Vec::new(), OK));
}

#[tokio::test]
#[rustfmt::skip]
async fn num_greetings_says_how_many() {
    let client = client().await;
    let cases: &[(&str, Option<usize>)] = &[
        // num_greetings   greetings, unless it is an invalid argument
        ("",               Some(10)),
        ("0",              Some(0)),
        ("1",              Some(1)),
        ("007",            Some(7)),
        ("5000",           Some(5_000)),
        ("1000001",        None),       // one too many
        ("99999999999999", None),       // more than a number holds
        ("-1",             None),
        ("+1",             None),
        (" 1",             None),
        ("1.5",            None),
        ("ten",            None),
        ("١",              None),       // a digit, but no ASCII
    ];
    for (num_greetings, greetings) in cases {
        let request = hellostreamingworld::HelloRequest {
            name: "you".to_owned(),
            num_greetings: (*num_greetings).to_owned(),
        };
        let path = "/hellostreamingworld.MultiGreeter/sayHello";
        let (replies, (code, text)) =
            call::<hellostreamingworld::HelloReply>(&client, path, &[request]).await;
        match greetings {
            Some(count) => assert_eq!((replies.len(), code), (*count, None), "{num_greetings}"),
            None => {
                assert_eq!((replies.len(), code), (0, Some(Code::InvalidArgument)), "{num_greetings}");
                assert!(text.contains("is not a number from 0 to 1000000"), "{text}");
            }
        }
    }
}

#[tokio::test]
async fn a_million_greetings_may_be_asked_for() {
    let mut call = Conversation::open(
        &client().await,
        "/hellostreamingworld.MultiGreeter/sayHello",
    )
    .await;
    call.say(&hellostreamingworld::HelloRequest {
        name: "you".to_owned(),
        num_greetings: "1000000".to_owned(),
    });
    call.end();
    // The client leaves after some of them.
    let replies = call.hear_many::<hellostreamingworld::HelloReply>(100).await;
    assert_eq!(replies[99].message, "Hello number 99, you!");
}
