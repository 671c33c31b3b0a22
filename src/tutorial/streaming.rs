//! One stream each: numbers out, numbers in, and a chat both ways.

use super::proto::chat::{ChatRequest, ChatResponse, ChatService};
use super::proto::number_stream::{self, NumberResponse, NumberService};
use super::proto::sum_stream::{self, SumResponse, SumService};
use crate::{Inbound, Replies, Request, Response, Status};

/// Counts, as `number_stream.NumberService`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Numbers;

impl NumberService for Numbers {
    async fn get_numbers(
        &self,
        request: Request<number_stream::NumberRequest>,
        mut replies: Replies<NumberResponse>,
    ) -> Result<(), Status> {
        for number in 0..request.message.limit {
            replies.send(NumberResponse { number }).await?;
        }
        Ok(())
    }
}

/// Adds, as `sum_stream.SumService`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sums;

impl SumService for Sums {
    async fn calculate_sum(
        &self,
        mut requests: Request<Inbound<sum_stream::NumberRequest>>,
    ) -> Result<Response<SumResponse>, Status> {
        // Only the whole sum must fit: what it passes on the way there depends on the order.
        let mut sum = 0_i64;
        while let Some(request) = requests.next().await? {
            sum = sum.saturating_add(request.number.into());
        }
        let sum = i32::try_from(sum).map_err(|_| {
            Status::out_of_range(format!(
                "the sum {sum} is not within int32, {} to {}",
                i32::MIN,
                i32::MAX
            ))
        })?;
        Ok(SumResponse { sum }.into())
    }
}

/// Talks back, as `chat.ChatService`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Conversation;

impl ChatService for Conversation {
    async fn chat(
        &self,
        mut requests: Request<Inbound<ChatRequest>>,
        mut replies: Replies<ChatResponse>,
    ) -> Result<(), Status> {
        while let Some(request) = requests.next().await? {
            let message = format!("You said: {}", request.message);
            replies.send(ChatResponse { message }).await?;
        }
        Ok(())
    }
}
