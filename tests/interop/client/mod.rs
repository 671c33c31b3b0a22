//! barewire's clients against Python's grpcio, the server that most people meet gRPC with.
//!
//! ```text
//!  this process                             gRPC
//!    ├─ greeter.rs, route_guide.rs, …  ──────────▶  python serve.py      one per set-up
//!    └─ deadlines.rs, connections.rs, …  ────────▶  python serve.py …    some of their own
//! ```
//!
//! A scenario is an async function. Its path is the name of its trial: `say_hello` in `greeter.rs`
//! is `client::greeter::say_hello`. Those of the tutorials' services run over each [`Line`], and all
//! but the plain one are named in the trial: `client::greeter::say_hello::tls`.
//!
//! | file | what it is |
//! |---|---|
//! | `case.rs` | a scenario as a trial |
//! | `site.rs` | the Python servers that scenarios share |
//! | `python_server.rs` | one of them, to be killed and started again |
//! | `line.rs` | ways to talk: clear text, TLS, compressed |
//! | `tap.rs` | a wire between client and server that can be listened to |
//! | `log.rs` | what the library logs meanwhile |
//! | `script.rs` | what to ask of `barewire.control.Control` |

mod cancellation;
mod case;
mod chat;
mod compression;
mod connections;
mod contact;
mod deadlines;
mod greet;
mod greeter;
mod hello;
mod limits;
mod line;
mod load;
mod log;
mod metadata;
mod multi_greeter;
mod number_stream;
mod pings;
mod python_server;
mod retries;
mod route_guide;
mod script;
mod site;
mod sizes;
mod status;
mod streams;
mod sum_stream;
mod tap;
mod tls;

pub(crate) use case::Case;
pub(crate) use site::Site;

/// All scenarios.
pub(crate) fn cases() -> Vec<Case> {
    let of_services = [
        greeter::cases(),
        multi_greeter::cases(),
        greet::cases(),
        number_stream::cases(),
        sum_stream::cases(),
        chat::cases(),
        route_guide::cases(),
        hello::cases(),
        contact::cases(),
    ];
    let of_calls = [
        cancellation::cases(),
        compression::cases(),
        deadlines::cases(),
        metadata::cases(),
        sizes::cases(),
        status::cases(),
        streams::cases(),
    ];
    let of_channels = [
        connections::cases(),
        limits::cases(),
        load::cases(),
        pings::cases(),
        retries::cases(),
        tls::cases(),
    ];
    of_services
        .into_iter()
        .chain(of_calls)
        .chain(of_channels)
        .flatten()
        .collect()
}
