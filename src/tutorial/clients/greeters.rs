//! Clients of the greeters.

use std::io::Write;

use super::WalkError;
use crate::Channel;
use crate::tutorial::proto::{greet, hellostreamingworld, helloworld};

/// Is greeted once, as in the quick start of gRPC: `helloworld.Greeter`.
///
/// # Errors
///
/// A call that ended badly, or an `out` that takes no more.
///
/// # Cancel safety
///
/// Dropping it cancels the call.
pub async fn greeter(channel: Channel, out: &mut impl Write, name: &str) -> Result<(), WalkError> {
    let client = helloworld::GreeterClient::new(channel);
    writeln!(out, "Will try to greet world ...")?;
    let name = name.to_owned();
    let response = client.say_hello(helloworld::HelloRequest { name }).await?;
    writeln!(out, "Greeter client received: {}", response.message.message)?;
    Ok(())
}

/// Makes the calls that longer tutorials add to [`greeter`]: a second greeting, a stream of them, and
/// a stream of names that are greeted one by one.
///
/// # Errors
///
/// As [`greeter`].
///
/// # Cancel safety
///
/// Dropping it cancels the call.
pub async fn greeter_in_full(
    channel: Channel,
    out: &mut impl Write,
    name: &str,
) -> Result<(), WalkError> {
    let client = helloworld::GreeterClient::new(channel);
    let name = name.to_owned();
    let request = helloworld::HelloRequest { name };

    let response = client.say_hello2(request.clone()).await?;
    writeln!(out, "Greeter client received: {}", response.message.message)?;

    let mut replies = client.say_hello_stream_reply(request.clone()).await?;
    while let Some(reply) = replies.next().await? {
        writeln!(out, "Greeter client received: {}", reply.message)?;
    }

    let (mut requests, mut replies) = client.say_hello_bidi_stream(()).await?;
    for _ in 0..3 {
        requests.send(request.clone()).await?;
    }
    requests.finish()?;
    while let Some(reply) = replies.next().await? {
        writeln!(out, "Greeter client received: {}", reply.message)?;
    }
    Ok(())
}

/// Reads the same greetings twice: `hellostreamingworld.MultiGreeter`. Python has two ways to read a
/// stream, and its tutorial shows both; here there is one.
///
/// # Errors
///
/// As [`greeter`].
///
/// # Cancel safety
///
/// Dropping it cancels the call.
pub async fn multi_greeter(
    channel: Channel,
    out: &mut impl Write,
    name: &str,
) -> Result<(), WalkError> {
    let client = hellostreamingworld::MultiGreeterClient::new(channel);
    for way in ["async generator", "direct read"] {
        let request = hellostreamingworld::HelloRequest {
            name: name.to_owned(),
            // As many as the server likes.
            num_greetings: String::new(),
        };
        let mut replies = client.say_hello(request).await?;
        while let Some(reply) = replies.next().await? {
            writeln!(out, "Greeter client received from {way}: {}", reply.message)?;
        }
    }
    Ok(())
}

/// Is greeted once: `greet.Greeter`.
///
/// # Errors
///
/// As [`greeter`].
///
/// # Cancel safety
///
/// Dropping it cancels the call.
pub async fn greet(channel: Channel, out: &mut impl Write, name: &str) -> Result<(), WalkError> {
    let client = greet::GreeterClient::new(channel);
    let name = name.to_owned();
    let response = client.say_hello(greet::HelloRequest { name }).await?;
    writeln!(out, "Greeter client received: {}", response.message.message)?;
    Ok(())
}
