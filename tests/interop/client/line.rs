//! Ways to talk to the tutorials' services.

use barewire::{Channel, ChannelConfig, ClientTls, Encoding};

use super::site::{Setup, Site};
use super::tls::{known, trusting};

/// A way to talk.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Line {
    /// Clear text.
    Plain,
    /// TLS.
    Tls,
    /// TLS, and the client has a certificate too.
    MutualTls,
    /// Clear text, and requests are compressed.
    GzipRequests,
    /// Clear text, and requests are compressed the other way.
    DeflateRequests,
    /// Clear text, and answers are compressed.
    GzipAnswers,
    /// Clear text, and coroutines serve.
    Coroutines,
}

impl Line {
    /// All of them, for services that are served by coroutines too.
    pub(crate) const ALL: &[Self] = &[
        Self::Plain,
        Self::Tls,
        Self::MutualTls,
        Self::GzipRequests,
        Self::DeflateRequests,
        Self::GzipAnswers,
        Self::Coroutines,
    ];

    /// All of them, for services that are served by threads alone.
    pub(crate) const TO_THREADS: &[Self] = &[
        Self::Plain,
        Self::Tls,
        Self::MutualTls,
        Self::GzipRequests,
        Self::DeflateRequests,
        Self::GzipAnswers,
    ];

    /// One for each kind of server.
    pub(crate) const TO_BOTH: &[Self] = &[Self::Plain, Self::Coroutines];

    /// What stands in the name of a trial.
    pub(crate) fn name(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Tls => Some("tls"),
            Self::MutualTls => Some("mutual_tls"),
            Self::GzipRequests => Some("gzip_requests"),
            Self::DeflateRequests => Some("deflate_requests"),
            Self::GzipAnswers => Some("gzip_answers"),
            Self::Coroutines => Some("coroutines"),
        }
    }

    /// Whether it is about the TLS of a server, which a proxy has no part in.
    pub(crate) fn is_tls(self) -> bool {
        matches!(self, Self::Tls | Self::MutualTls)
    }

    /// A channel of its own.
    pub(crate) async fn channel(self, site: &Site) -> Channel {
        let (setup, config) = match self {
            Self::Plain => (Setup::Plain, ChannelConfig::default()),
            Self::Tls => (Setup::Tls, with_tls(trusting(site))),
            Self::MutualTls => (Setup::MutualTls, with_tls(known(site))),
            Self::GzipRequests => (Setup::Plain, Self::compressing(Encoding::Gzip)),
            Self::DeflateRequests => (Setup::Plain, Self::compressing(Encoding::Deflate)),
            Self::GzipAnswers => (Setup::GzipAnswers, ChannelConfig::default()),
            Self::Coroutines => (Setup::Coroutines, ChannelConfig::default()),
        };
        let channel = site.channel(setup, config);
        channel.ready().await.unwrap();
        channel
    }

    /// A channel that compresses requests.
    pub(crate) fn compressing(encoding: Encoding) -> ChannelConfig {
        ChannelConfig {
            encoding,
            ..ChannelConfig::default()
        }
    }
}

fn with_tls(tls: ClientTls) -> ChannelConfig {
    ChannelConfig {
        tls: Some(tls),
        ..ChannelConfig::default()
    }
}
