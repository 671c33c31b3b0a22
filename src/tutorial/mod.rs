//! Layer 5: the services that every gRPC tutorial teaches, for their clients to talk to.
//!
//! | service | file | what it shows |
//! |---|---|---|
//! | `helloworld.Greeter` | `greeter.rs` | one message each way; a stream out; a stream each way |
//! | `hellostreamingworld.MultiGreeter` | `greeter.rs` | a stream out, as long as the client asks |
//! | `greet.Greeter` | `greeter.rs` | one message each way |
//! | `number_stream.NumberService` | `streaming.rs` | a stream out |
//! | `sum_stream.SumService` | `streaming.rs` | a stream in |
//! | `chat.ChatService` | `streaming.rs` | a stream each way |
//! | `routeguide.RouteGuide` | `route_guide.rs`, `route_database.rs` | all four kinds of call |
//! | `hello.Hello` | `hello.rs` | an answer before the request has ended |
//! | `Contact` | `contact.rs` | a server that pushes to its clients |
//!
//! What they say, to the letter, is what their clients expect. [`add_all`] adds them to a server;
//! their messages are in [`proto`], and the clients that go with them in [`clients`].

use std::time::Duration;

use crate::Server;

pub mod clients;
mod contact;
mod greeter;
mod hello;
pub mod proto;
mod route_database;
mod route_guide;
mod streaming;

pub use contact::Tasks;
pub use greeter::Greetings;
pub use hello::Beijing;
pub use route_database::{BUILT_IN_ROUTE_DATABASE, RouteDatabase, RouteDatabaseError};
pub use route_guide::Guide;
pub use streaming::{Conversation, Numbers, Sums};

/// What the tutorials' services are to work with.
#[derive(Clone, Debug)]
pub struct TutorialOptions {
    /// What `routeguide.RouteGuide` knows.
    pub route_database: RouteDatabase,
    /// How often `Contact` makes tasks.
    pub task_interval: Duration,
}

/// Adds all nine services.
#[must_use]
pub fn add_all(server: Server, options: TutorialOptions) -> Server {
    server
        .add(proto::helloworld::GreeterServer(Greetings))
        .add(proto::hellostreamingworld::MultiGreeterServer(Greetings))
        .add(proto::greet::GreeterServer(Greetings))
        .add(proto::number_stream::NumberServiceServer(Numbers))
        .add(proto::sum_stream::SumServiceServer(Sums))
        .add(proto::chat::ChatServiceServer(Conversation))
        .add(proto::routeguide::RouteGuideServer(Guide::new(
            options.route_database,
        )))
        .add(proto::hello::HelloServer(Beijing))
        .add(proto::contact::ContactServer(Tasks::new(
            options.task_interval,
        )))
}
