//! Calls of one message each way.

use barewire::ServerConfig;

use crate::support::{Client, Probe, piped_server};
use crate::tokio;

#[tokio::test]
async fn a_message_comes_back() {
    let client = Client::over(piped_server(Probe::default(), ServerConfig::default())).await;
    let answer = client.call("Echo", &["hello"]).await;
    assert_eq!(answer.messages, ["hello"]);
    assert_eq!(answer.code(), Some("0"));
    assert_eq!(answer.http_status, 200);
    assert!(!answer.trailers_only);
}

#[tokio::test]
async fn p134_zero_messages_or_two_are_unimplemented() {
    let client = Client::over(piped_server(Probe::default(), ServerConfig::default())).await;
    for messages in [&[][..], &["one", "two"]] {
        let answer = client.call("Echo", messages).await;
        assert_eq!(answer.code(), Some("12"), "{messages:?}");
        assert!(answer.trailers_only, "{messages:?}");
    }
}

#[tokio::test]
async fn p023_an_unknown_method_and_an_unknown_service_say_which_they_are() {
    let client = Client::over(piped_server(Probe::default(), ServerConfig::default())).await;
    let answer = client.call("Nothing", &["x"]).await;
    assert_eq!(answer.code(), Some("12"));
    assert_eq!(answer.text(), "test.Probe has no method Nothing");

    let request = http::Request::post("http://localhost/test.Nobody/Echo")
        .header("content-type", "application/grpc")
        .body(())
        .unwrap();
    let answer = client.send_request(request, false).await.answer().await;
    assert_eq!(answer.code(), Some("12"));
    assert_eq!(answer.text(), "there is no service test.Nobody");
    assert!(answer.trailers_only);
}
