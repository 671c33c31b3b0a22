//! The service on barewire.
//!
//! ```text
//!   peer-barewire serve [certificate=… key=…] [and what features.rs knows]
//!   peer-barewire call KIND address=… streams=1 calls=1 warm_up=0 [roots=…]
//! ```

mod client;
mod features;
mod service;

/// What barewire generates.
mod generated {
    barewire::include_proto!("bench");
}

use harness::Fault;
use harness::options::Options;

fn main() -> Result<(), Fault> {
    let options = Options::from_arguments();
    features::subscribe(&options)?;
    match options.word(0) {
        "serve" => harness::run(service::serve(options)),
        "call" => harness::run(client::run(options)),
        word => Err(format!("{word:?} is nothing that we do").into()),
    }
}
