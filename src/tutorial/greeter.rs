//! The greeters: what nearly every gRPC tutorial begins with.

use super::proto::{greet, hellostreamingworld, helloworld};
use crate::{Inbound, Replies, Request, Response, Status};

/// Greets, as `helloworld.Greeter`, `hellostreamingworld.MultiGreeter` and `greet.Greeter`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Greetings;

impl helloworld::Greeter for Greetings {
    async fn say_hello(
        &self,
        request: Request<helloworld::HelloRequest>,
    ) -> Result<Response<helloworld::HelloReply>, Status> {
        let message = hello(&request.message.name);
        Ok(helloworld::HelloReply { message }.into())
    }

    async fn say_hello2(
        &self,
        request: Request<helloworld::HelloRequest>,
    ) -> Result<Response<helloworld::HelloReply>, Status> {
        let message = format!("Hello again, {}!", request.message.name);
        Ok(helloworld::HelloReply { message }.into())
    }

    async fn say_hello_stream_reply(
        &self,
        request: Request<helloworld::HelloRequest>,
        mut replies: Replies<helloworld::HelloReply>,
    ) -> Result<(), Status> {
        for number in 0..USUAL_GREETINGS {
            let message = hello_number(number, &request.message.name);
            replies.send(helloworld::HelloReply { message }).await?;
        }
        Ok(())
    }

    async fn say_hello_bidi_stream(
        &self,
        mut requests: Request<Inbound<helloworld::HelloRequest>>,
        mut replies: Replies<helloworld::HelloReply>,
    ) -> Result<(), Status> {
        while let Some(request) = requests.next().await? {
            let message = hello(&request.name);
            replies.send(helloworld::HelloReply { message }).await?;
        }
        Ok(())
    }
}

impl hellostreamingworld::MultiGreeter for Greetings {
    async fn say_hello(
        &self,
        request: Request<hellostreamingworld::HelloRequest>,
        mut replies: Replies<hellostreamingworld::HelloReply>,
    ) -> Result<(), Status> {
        let hellostreamingworld::HelloRequest {
            name,
            num_greetings,
        } = request.message;
        for number in 0..parse_num_greetings(&num_greetings)? {
            let message = hello_number(number, &name);
            replies
                .send(hellostreamingworld::HelloReply { message })
                .await?;
        }
        Ok(())
    }
}

impl greet::Greeter for Greetings {
    async fn say_hello(
        &self,
        request: Request<greet::HelloRequest>,
    ) -> Result<Response<greet::HelloReply>, Status> {
        let message = hello(&request.message.name);
        Ok(greet::HelloReply { message }.into())
    }
}

fn hello(name: &str) -> String {
    format!("Hello, {name}!")
}

fn hello_number(number: u32, name: &str) -> String {
    format!("Hello number {number}, {name}!")
}

/// The count in `num_greetings`, a string: what is empty means the usual ten.
fn parse_num_greetings(text: &str) -> Result<u32, Status> {
    if text.is_empty() {
        return Ok(USUAL_GREETINGS);
    }
    // Rust's own `parse` would also take a plus sign.
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    let count = text.parse().ok().filter(|_| is_number);
    count
        .filter(|count| *count <= MOST_GREETINGS)
        .ok_or_else(|| {
            Status::invalid_argument(format!(
                "num_greetings {:?} is not a number from 0 to {MOST_GREETINGS}",
                shortened(text)
            ))
        })
}

/// The beginning of a text that may be long, for a message about it.
fn shortened(text: &str) -> String {
    text.chars().take(40).collect()
}

/// How often the tutorials greet.
const USUAL_GREETINGS: u32 = 10;
/// As many greetings as a client may ask for.
const MOST_GREETINGS: u32 = 1_000_000;
