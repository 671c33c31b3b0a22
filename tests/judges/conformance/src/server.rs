//! The server under test.

use std::error::Error;

use barewire::{ClientCertificates, ReplyEncoding, Server, ServerConfig, ServerTls, TlsError};
use tokio::net::TcpListener;

use crate::conformance::{ConformanceServiceServer, ServerCompatRequest, ServerCompatResponse};
use crate::delimited::{read_message, write_message};
use crate::service::Conformance;

/// Reads which server is wanted, says where it listens, and serves until the suite ends it.
pub(crate) async fn run() -> Result<(), Box<dyn Error>> {
    let wanted: Option<ServerCompatRequest> = read_message(&mut tokio::io::stdin()).await?;
    let wanted = wanted.ok_or("standard input does not say which server is wanted")?;

    let mut config = ServerConfig {
        reply_encoding: ReplyEncoding::AsRequest,
        ..ServerConfig::default()
    };
    if wanted.message_receive_limit != 0 {
        config.max_recv_message = usize::try_from(wanted.message_receive_limit)?;
    }
    let mut server = Server::new()
        .with_config(config)
        .add(ConformanceServiceServer(Conformance));
    if wanted.use_tls {
        server = server.tls(tls(&wanted)?);
    }

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    write_message(&ServerCompatResponse {
        host: address.ip().to_string(),
        port: address.port().into(),
        pem_cert: wanted.server_creds.unwrap_or_default().cert,
    })?;
    Ok(server.serve(listener).await?)
}

fn tls(wanted: &ServerCompatRequest) -> Result<ServerTls, TlsError> {
    let own = wanted.server_creds.clone().unwrap_or_default();
    let clients = if wanted.client_tls_cert.is_empty() {
        ClientCertificates::None
    } else {
        ClientCertificates::Required(&wanted.client_tls_cert)
    };
    ServerTls::from_pem(&own.cert, &own.key, clients)
}
