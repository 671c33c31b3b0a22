//! What must hold for any text that is read as a service config. It needs the `client` feature, so
//! it is kept apart from the other oracles; `tests/client/corpus.rs` replays its corpus.

#![allow(clippy::unwrap_used, clippy::expect_used, unreachable_pub)]

use barewire::wire::MethodPath;
use barewire::{ServiceConfig, ServiceConfigError};
use http::uri::PathAndQuery;

/// Input: a service config as JSON, or a list of choices. What is taken passes its own check, finds
/// each method that it names, and is the same as the only choice of a list; what is refused is
/// refused in few words.
pub fn service_config(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Err(error) = ServiceConfig::from_dns_choices(&format!("grpc_config={text}"), "here", 50)
    {
        assert!(error.to_string().len() < 600, "{error}");
    }
    let config = match ServiceConfig::from_json(text) {
        Ok(config) => config,
        Err(error) => {
            assert!(error.to_string().len() < 600, "{error}");
            return;
        }
    };
    assert_eq!(config.check(), Ok(()));
    for (text, expected) in &config.methods {
        // Not every text can be the path of a call.
        let path = PathAndQuery::try_from(text.as_str()).ok();
        let path = path.and_then(|path| MethodPath::parse(path).ok());
        if let Some(path) = path.filter(|path| path.as_str() == text) {
            assert_eq!(config.method(&path), Some(expected));
        }
    }
    let choices = format!("grpc_config=[{{\"serviceConfig\":{text}}}]");
    match ServiceConfig::from_dns_choices(&choices, "here", 99) {
        Ok(chosen) => assert_eq!(chosen, Some(config)),
        // Two levels more may be too deep.
        Err(ServiceConfigError::NotJson(_)) => {}
        Err(error) => panic!("{error}"),
    }
}
