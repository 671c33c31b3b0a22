//! The service on tonic.
//!
//! ```text
//!   peer-tonic serve [certificate=… key=…]
//!   peer-tonic call KIND address=… streams=1 calls=1 warm_up=0 [roots=…]
//! ```

mod client;
mod service;

/// What tonic generates.
mod generated {
    tonic::include_proto!("bench");
}

use harness::Fault;
use harness::options::Options;

fn main() -> Result<(), Fault> {
    let options = Options::from_arguments();
    match options.word(0) {
        "serve" => harness::run(service::serve(options)),
        "call" => harness::run(client::run(options)),
        word => Err(format!("{word:?} is nothing that we do").into()),
    }
}
