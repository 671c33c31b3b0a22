//! Clients of one stream each: numbers in, numbers out, and a chat both ways.
//!
//! Where two spaces stand in what is printed, the text of the tutorial ends with one, and Python's
//! `print` adds another.

use std::io::Write;

use super::WalkError;
use crate::Channel;
use crate::tutorial::proto::chat::{ChatRequest, ChatServiceClient};
use crate::tutorial::proto::number_stream::{self, NumberServiceClient};
use crate::tutorial::proto::sum_stream::{self, SumServiceClient};

/// Has the server count to ten: `number_stream.NumberService`.
///
/// # Errors
///
/// A call that ended badly, or an `out` that takes no more.
///
/// # Cancel safety
///
/// Dropping it cancels the call.
pub async fn numbers(channel: Channel, out: &mut impl Write) -> Result<(), WalkError> {
    let client = NumberServiceClient::new(channel);
    let request = number_stream::NumberRequest { limit: 10 };
    let mut responses = client.get_numbers(request).await?;
    while let Some(response) = responses.next().await? {
        writeln!(out, "Received number:  {}", response.number)?;
    }
    Ok(())
}

/// Has the server add one to five: `sum_stream.SumService`.
///
/// # Errors
///
/// As [`numbers`].
///
/// # Cancel safety
///
/// Dropping it cancels the call.
pub async fn sums(channel: Channel, out: &mut impl Write) -> Result<(), WalkError> {
    let client = SumServiceClient::new(channel);
    let (mut requests, response) = client.calculate_sum(()).await?;
    for number in 1..=5 {
        requests.send(sum_stream::NumberRequest { number }).await?;
    }
    requests.finish()?;
    let response = response.single().await?;
    writeln!(out, "Sum:  {}", response.message.sum)?;
    Ok(())
}

/// Says three things, and hears what comes back: `chat.ChatService`.
///
/// # Errors
///
/// As [`numbers`].
///
/// # Cancel safety
///
/// Dropping it cancels the call.
pub async fn chat(channel: Channel, out: &mut impl Write) -> Result<(), WalkError> {
    let client = ChatServiceClient::new(channel);
    let (mut requests, mut responses) = client.chat(()).await?;
    // Three short messages always find room on their way. Who sends many reads meanwhile, in another
    // task: a server may stop reading as long as nobody takes its answers.
    for message in ["Hello", "How are you?", "Goodbye"] {
        let message = message.to_owned();
        requests.send(ChatRequest { message }).await?;
    }
    requests.finish()?;
    while let Some(response) = responses.next().await? {
        writeln!(out, "Received:  {}", response.message)?;
    }
    Ok(())
}
