//! `test.Place`: what the tests of whole calls have no need of, since they know where they are.

use std::str::FromStr as _;
use std::sync::Arc;

use barewire::{
    Code, Inbound, Metadata, Replies, Request, Response, ServerCall, Service, Serving, Status,
};

use prost_types::FieldMask;

use crate::support::Seen;

/// The service. Messages are `StringValue`s, as those of `test.Probe`.
pub(crate) struct Place {
    /// What this server calls itself.
    pub(crate) name: &'static str,
    pub(crate) seen: Arc<Seen>,
}

impl Service for Place {
    fn name(&self) -> &'static str {
        "test.Place"
    }

    fn serve(&self, mut call: ServerCall) -> Serving<'_> {
        Box::pin(async move {
            match call.method() {
                // Says who answers.
                "Name" => {
                    let _: Request<String> = call.request().await?;
                    call.reply(Response::new(self.name.to_owned())).await
                }
                // Says how many milliseconds are left.
                "Left" => {
                    let request: Request<String> = call.request().await?;
                    let left = request
                        .deadline
                        .map(|deadline| deadline.remaining().as_millis());
                    let left = left.map_or_else(|| "none".to_owned(), |left| left.to_string());
                    call.reply(Response::new(left)).await
                }
                // Says whether the request came compressed, and answers in the same way.
                "Compressed" => {
                    let request: Request<String> = call.request().await?;
                    let mut replies: Replies<String> = call.replies();
                    replies.send(request.came_compressed().to_string()).await?;
                    replies.send("x".repeat(10_000)).await
                }
                // Opens the gate for each message that comes.
                "Note" => {
                    let mut requests: Request<Inbound<String>> = call.requests();
                    while requests.next().await?.is_some() {
                        self.seen.gate.notify_one();
                    }
                    call.reply(Response::new("noted".to_owned())).await
                }
                // Sends a message each time that the gate opens.
                "Step" => {
                    let _: Request<String> = call.request().await?;
                    let mut replies: Replies<String> = call.replies();
                    loop {
                        self.seen.gate.notified().await;
                        replies.send("step".to_owned()).await?;
                    }
                }
                // Says how many elements the request's list has.
                "Length" => {
                    let request: Request<FieldMask> = call.request().await?;
                    let length = request.message.paths.len();
                    call.reply(Response::new(length.to_string())).await
                }
                // Fails with the code that it is told: at once, or after headers.
                "Fail" => {
                    let request: Request<String> = call.request().await?;
                    Err(failure(&request.message)?)
                }
                "FailLate" => {
                    let request: Request<String> = call.request().await?;
                    let mut replies: Replies<String> = call.replies();
                    replies.send("before".to_owned()).await?;
                    Err(failure(&request.message)?)
                }
                _ => Err(call.unknown_method()),
            }
        })
    }
}

/// What comes of a failure with this code, a number.
pub(crate) fn failure(code: &str) -> Result<Status, Status> {
    let number = u32::from_str(code).ok().and_then(Code::from_number);
    let code = number.ok_or_else(|| Status::internal("no code"))?;
    let mut metadata = Metadata::new();
    metadata.insert_bin("why-bin", &[0, 255, 10])?;
    // `google.rpc.Status` with the code, as details must have it.
    let details = vec![8, code.number(), 26, 4, 18, 2, 0, 255];
    let status = Status::new(code, "half-way, 世界, 100 %\n");
    Ok(status.with_details(details.into()).with_metadata(metadata))
}
