//! The unary call of the service on ntex-grpc, which has no streams in this version.
//!
//! ```text
//!   peer-ntex serve
//! ```

mod generated;

use std::convert::Infallible;
use std::net::TcpListener;

use ntex::SharedCfg;
use ntex::service::fn_factory;
use ntex_grpc::server::GrpcServer;

use crate::generated::{HelloReply, HelloRequest};

#[ntex::main]
async fn main() -> std::io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("{}", listener.local_addr()?);
    ntex::server::build()
        .workers(1)
        .listen("bench", listener, SharedCfg::new("BENCH"), async |_| {
            GrpcServer::new(fn_factory(async |()| Ok::<_, Infallible>(Peer)))
        })?
        .run()
        .await
}

#[derive(Clone)]
struct Peer;

#[ntex_grpc::server(generated::Bench)]
impl Peer {
    #[method(SayHello)]
    async fn say_hello(&self, request: HelloRequest) -> HelloReply {
        let message = format!("Hello, {}!", request.name).into();
        HelloReply { message }
    }
}
