//! What the rows of malformed connections share, those of the server and those of the client: what
//! becomes of a stream or a connection on which a rule of HTTP/2 is broken, and the TLS beneath.
//!
//! h2 does not always say what RFC 9113 asks for. What is frequent has a name below; elsewhere the
//! row ends with what it should have been. All of it is stricter than it must be, or harmless.

use std::sync::Arc;

use barewire::spec::http2::error::PROTOCOL_ERROR;
use rustls::RootCertStore;
use rustls::crypto::ring;
use rustls::pki_types::PrivateKeyDer;

/// What our side says to it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fate {
    /// The connection ends with GOAWAY and this code.
    Goaway(u32),
    /// A stream is reset with this code.
    Reset(u32),
    /// A stream gets an answer with HTTP status 200. Servers alone do that.
    Served,
    /// A stream gets an answer with another HTTP status. Servers alone do that.
    Refused,
    /// Nothing is said about it.
    Ignored,
    /// The connection ends without a word.
    Closed,
}

use Fate::Goaway;

/// A frame is not as long as its type must be: FRAME_SIZE_ERROR. RFC 9113 §4.2.
pub const WRONG_LENGTH: Fate = Goaway(PROTOCOL_ERROR);
/// A header block cannot be decoded: COMPRESSION_ERROR. RFC 9113 §4.3.
pub const NO_HPACK: Fate = Goaway(PROTOCOL_ERROR);
/// A field is none that there can be: a stream error. RFC 9113 §8.1.1, §8.2.1. It may be an error of
/// the connection (§5.4.1), but the other calls there did no harm.
pub const NO_FIELD: Fate = Goaway(PROTOCOL_ERROR);
/// A frame is for a stream whose other end is closed: STREAM_CLOSED. RFC 9113 §5.1.
pub const NOT_OPEN: Fate = Goaway(PROTOCOL_ERROR);

/// The largest window, and the last stream.
pub const BIG: u32 = 0x7fff_ffff;

/// A payload with its padding: the length of it, what it is, zeros.
pub fn padded(length: u8, payload: &[u8], zeros: usize) -> Vec<u8> {
    [&[length][..], payload, &vec![0; zeros]].concat()
}

/// TLS for both ends, by a certificate for `localhost`.
pub fn tls() -> (rustls::ServerConfig, rustls::ClientConfig) {
    let names = ["localhost".to_owned()];
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    let certificate = made.cert.der();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).unwrap();
    let provider = Arc::new(ring::default_provider());
    let mut server = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    let mut client = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    server.alpn_protocols = vec![b"h2".to_vec()];
    client.alpn_protocols = vec![b"h2".to_vec()];
    (server, client)
}
