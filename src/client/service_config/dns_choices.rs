//! Service configs in DNS: a list of choices, each with the clients that it is for.
//!
//! ```text
//!  _grpc_config.shop.example  TXT  "grpc_config=[
//!      {"percentage": 10, "serviceConfig": {…}},            a tenth of the clients try this one
//!      {"clientLanguage": ["rust"], "serviceConfig": {…}},  the others, if they are written in Rust
//!      {"serviceConfig": {…}}]"                             all the rest
//! ```
//!
//! The first choice that is for this client counts. Its config must be right; what the other
//! choices ask of their clients is not looked at.
//!
//! Spec: gRFC A2 §Canarying Changes, §Encoding in DNS TXT Records; gRFC A21.

use super::field::Field;
use super::parse::parse_json;
use super::{ServiceConfig, ServiceConfigError};

impl ServiceConfig {
    /// Chooses a service config from a TXT record of `_grpc_config.<host>`, whose strings are
    /// joined. Gives `None` if the record is about something else or no choice is for this client.
    ///
    /// `hostname` is the name of this machine. `percentile` is drawn once for each client, from 0
    /// to 99: a choice for ten per cent is for those with a percentile below 10, also when the
    /// record is read again.
    ///
    /// # Errors
    ///
    /// [`ServiceConfigError`] if the list or the chosen config is wrong.
    pub fn from_dns_choices(
        record: &str,
        hostname: &str,
        percentile: u8,
    ) -> Result<Option<Self>, ServiceConfigError> {
        let Some(json) = record.strip_prefix(ATTRIBUTE) else {
            return Ok(None);
        };
        let list = parse_json(json)?;
        let mut chosen = None;
        for choice in Field::root(&list).list()? {
            let is_for_us = is_choice_for(&choice, hostname, percentile)?;
            let config = choice.member("serviceConfig");
            config.object()?;
            if is_for_us && chosen.is_none() {
                chosen = Some(config);
            }
        }
        chosen.map(|config| Self::read(&config)).transpose()
    }
}

fn is_choice_for(
    choice: &Field<'_>,
    hostname: &str,
    percentile: u8,
) -> Result<bool, ServiceConfigError> {
    // A key that is not known may name clients that this choice is not for.
    if let Some(name) = choice
        .object()?
        .keys()
        .find(|name| !KEYS.contains(&name.as_str()))
    {
        return Err(choice.member(name).refuse("absent"));
    }
    let languages = texts(&choice.member("clientLanguage"))?;
    let hostnames = texts(&choice.member("clientHostname"))?;
    let percentage = choice.member("percentage").optional(|percentage| {
        let number = percentage.integer()?;
        let legal = (0..=100).contains(&number);
        legal
            .then_some(number)
            .ok_or_else(|| percentage.refuse("0 to 100"))
    })?;
    let speaks = |language: &&str| language.eq_ignore_ascii_case(LANGUAGE);
    Ok((languages.is_empty() || languages.iter().any(speaks))
        && (hostnames.is_empty() || hostnames.contains(&hostname))
        && percentage.is_none_or(|percentage| u32::from(percentile) < percentage))
}

/// The strings of a list. No list is as good as an empty one.
fn texts<'a>(list: &Field<'a>) -> Result<Vec<&'a str>, ServiceConfigError> {
    let items = list.optional(Field::list)?.unwrap_or_default();
    items.iter().map(Field::text).collect()
}

/// What makes a TXT record one of ours. RFC 1464.
const ATTRIBUTE: &str = "grpc_config=";

/// What clients of this library are written in.
const LANGUAGE: &str = "rust";

const KEYS: [&str; 4] = [
    "clientLanguage",
    "percentage",
    "clientHostname",
    "serviceConfig",
];
