//! What a server can be told to do beside answering, each by itself, so that its cost can be seen.

use barewire::{
    CallRecord, CallSpans, CallStart, ClientCertificates, Encoding, FirstPoll, Interceptor,
    ReplyEncoding, Server, ServerConfig, ServerTls, Status,
};
use harness::Fault;
use harness::options::Options;
use tracing::Level;

/// `log=info|debug|trace`: what happens is written down, and nobody reads it.
pub fn subscribe(options: &Options) -> Result<(), Fault> {
    if let Some(level) = options.text("log") {
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(level.parse::<Level>()?)
            .with_writer(std::io::sink)
            .finish();
        tracing::subscriber::set_global_default(subscriber)?;
    }
    Ok(())
}

/// - `certificate=` and `key=`: TLS
/// - `interceptors=N`: so many that look at metadata and at the outcome
/// - `closures=N`: so many that are told of the outcome only
/// - `spans=1`: a span for each call
/// - `gzip=1`: replies are compressed
/// - `spawned=1`: each call is a task from its start
/// - `no_keepalive=1`: silent clients are not asked
pub fn add_to(server: Server, options: &Options) -> Result<Server, Fault> {
    let mut config = ServerConfig::default();
    if options.text("gzip").is_some() {
        config.reply_encoding = ReplyEncoding::Always(Encoding::Gzip);
    }
    if options.text("spawned").is_some() {
        config.http2.first_poll = FirstPoll::Spawned;
    }
    if options.text("no_keepalive").is_some() {
        config.http2.keepalive_time = None;
    }
    let mut server = server.with_config(config);
    if let (Some(certificate), Some(key)) = (options.file("certificate")?, options.file("key")?) {
        server = server.tls(ServerTls::from_pem(
            &certificate,
            &key,
            ClientCertificates::None,
        )?);
    }
    for _ in 0..options.number("interceptors", 0)? {
        server = server.intercept(Looker);
    }
    for _ in 0..options.number("closures", 0)? {
        server = server.intercept(|call: &CallRecord<'_>| {
            std::hint::black_box(call);
        });
    }
    if options.text("spans").is_some() {
        server = server.intercept(CallSpans);
    }
    Ok(server)
}

/// The least that a useful interceptor does.
struct Looker;

impl Interceptor for Looker {
    async fn before(&self, call: &mut CallStart) -> Result<(), Status> {
        std::hint::black_box(call.metadata.get("authorization"));
        Ok(())
    }

    fn after(&self, call: &CallRecord<'_>) {
        std::hint::black_box(call.outcome);
    }
}
