//! A client without a `.proto` file and without generated code: what the generator would write, by
//! hand. Calls `/helloworld.Greeter/SayHello`.
//!
//! `cargo run --example client_by_hand -- http://127.0.0.1:50051`

use barewire::{Channel, MethodPath, Response, Status};

/// HelloRequest and HelloReply alike: field 1 is a text.
#[derive(Clone, PartialEq, prost::Message)]
struct Hello {
    #[prost(string, tag = "1")]
    text: String,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Status> {
    let target = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "http://127.0.0.1:50051".to_owned());
    let channel = Channel::connect(&target).await?;

    let path = MethodPath::from_static("/helloworld.Greeter/SayHello");
    let text = "you".to_owned();
    let response: Response<Hello> = channel.unary(path, Hello { text }).await?;
    println!("{}", response.message.text);
    Ok(())
}
