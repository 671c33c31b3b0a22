//! A service without a `.proto` file and without generated code: what the generator would write, by
//! hand. Answers `/helloworld.Greeter/SayHello`.
//!
//! `cargo run --release --example greeter_by_hand -- 127.0.0.1:50051`

use barewire::{Request, Response, Server, ServerCall, Service, Serving};

/// HelloRequest and HelloReply alike: field 1 is a text.
#[derive(Clone, PartialEq, prost::Message)]
struct Hello {
    #[prost(string, tag = "1")]
    text: String,
}

struct Greeter;

impl Service for Greeter {
    fn name(&self) -> &'static str {
        "helloworld.Greeter"
    }

    fn serve(&self, mut call: ServerCall) -> Serving<'_> {
        Box::pin(async move {
            match call.method() {
                "SayHello" => {
                    let request: Request<Hello> = call.request().await?;
                    let text = format!("Hello, {}!", request.message.text);
                    call.reply(Response::new(Hello { text })).await
                }
                _ => Err(call.unknown_method()),
            }
        })
    }
}

fn main() -> std::io::Result<()> {
    let address = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "127.0.0.1:50051".to_owned());
    // One worker, so that instructions per call can be compared.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let serving = runtime.spawn(async move {
        let listener = tokio::net::TcpListener::bind(address).await?;
        Server::new().add(Greeter).serve(listener).await
    });
    runtime.block_on(serving)?
}
