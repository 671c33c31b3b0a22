//! `docs/limits.md` is made of the configurations, the counters, and the constants that are no settings:
//! names and texts from where they are declared, defaults from their values, constants and what h2 is
//! given from the source. `BAREWIRE_BLESS=1 cargo test --test limits` writes it anew.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

use std::collections::BTreeMap;
use std::fmt::{Debug, Write as _};
use std::fs;
use std::path::Path;

use barewire::{Backoff, ChannelConfig, ClientHttp2Config, Counter, Http2Config, ServerConfig};

const FILE: &str = "docs/limits.md";

#[test]
fn the_table_of_limits_is_the_one_that_the_code_has() {
    let rendered = render();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(FILE);
    if std::env::var_os("BAREWIRE_BLESS").is_some() {
        fs::write(&file, &rendered).unwrap();
    }
    let committed = fs::read_to_string(&file).unwrap_or_default();
    assert!(
        committed == rendered,
        "{FILE} is not what the code says; BAREWIRE_BLESS=1 writes it anew"
    );
}

#[test]
fn every_counter_is_listed_once_and_has_a_name_of_its_own() {
    let declared = items("src/transport/counters.rs", "pub enum Counter {");
    assert_eq!(declared.len(), Counter::ALL.len());
    let names: BTreeMap<&str, Counter> = Counter::ALL.map(|one| (one.name(), one)).into();
    assert_eq!(names.len(), Counter::ALL.len());
    for (counter, (name, _)) in Counter::ALL.iter().zip(&declared) {
        assert_eq!(format!("{counter:?}"), *name);
    }
}

fn render() -> String {
    let mut text = "\
# Limits

Every wait of barewire has a timer and every buffer a bound. These are the settings, with their defaults and with what the peer sees
past them. `Server::counters` and `Channel::counters` tell how often which of them was hit; the last column names the counter, or says why
there is none.

This file is written by `tests/limits.rs`.
"
    .to_owned();
    let server = values(&ServerConfig::default());
    let server_http2 = values(&Http2Config::default());
    let client_http2 = values(&ClientHttp2Config::default());
    let sections = [
        ("A server", "src/server/config.rs", "ServerConfig", server),
        (
            "A connection of a server",
            "src/transport/config.rs",
            "Http2Config",
            server_http2,
        ),
        (
            "A channel",
            "src/client/config.rs",
            "ChannelConfig",
            channel_values(),
        ),
        (
            "A connection of a channel",
            "src/transport/client_config.rs",
            "ClientHttp2Config",
            client_http2,
        ),
        (
            "Attempts to connect",
            "src/client/backoff.rs",
            "Backoff",
            values(&Backoff::default()),
        ),
    ];
    for (title, file, name, values) in sections {
        write!(text, "\n## {title}: `{name}`\n\n").unwrap();
        text += "| setting | default | what it bounds, and what is seen past it | counter |\n|---|---|---|---|\n";
        for (field, docs) in items(file, &format!("pub struct {name} {{")) {
            if NO_LIMITS.contains(&field.as_str()) {
                continue;
            }
            let value = values
                .get(&field)
                .unwrap_or_else(|| panic!("no value: {field}"));
            let counters = counters_of(name, &field);
            let (value, docs) = (format_value(&field, value), without_default(&docs));
            writeln!(text, "| `{field}` | {value} | {docs} | {counters} |").unwrap();
        }
    }
    text += "\n## Fixed limits\n\nWhat is no setting, by the names that the source has for it.\n\n";
    text += "| constant | value | what it bounds | where |\n|---|---|---|---|\n";
    for (file, name) in FIXED {
        let (value, docs) = constant(file, name);
        writeln!(text, "| `{name}` | {value} | {docs} | `{file}` |").unwrap();
    }
    text +=
        "\n## Limits of h2\n\nh2 is given all of a connection's settings that it has a word for. ";
    text += "What goes by another name there, or is no setting:\n\n";
    text += "| h2's name | on | value | why |\n|---|---|---|---|\n";
    for (side, file) in [
        ("a server", "src/transport/server_connection.rs"),
        ("a channel", "src/transport/client_connection.rs"),
    ] {
        for (name, value, why) in given_to_h2(file) {
            writeln!(text, "| `{name}` | {side} | {value} | {why} |").unwrap();
        }
    }
    text += "\n## Counters\n\n| counter | what has happened |\n|---|---|\n";
    let declared = items("src/transport/counters.rs", "pub enum Counter {");
    for (counter, (_, docs)) in Counter::ALL.iter().zip(declared) {
        writeln!(text, "| `{counter}` | {docs} |").unwrap();
    }
    text
}

/// Settings that bound nothing.
const NO_LIMITS: [&str; 15] = [
    "http2",
    "reply_encoding",
    "first_poll",
    "tls",
    "authority",
    "proxy",
    "resolver",
    "dialer",
    "balancing",
    "backoff",
    "encoding",
    "wait_for_ready",
    "retries",
    "service_config",
    "keepalive_without_calls",
];

/// Limits that are constants, and where these are.
const FIXED: [(&str, &str); 20] = [
    ("src/transport/server_connection.rs", "LINGER_BYTES"),
    ("src/transport/ping_policy.rs", "INTERVAL_WITHOUT_CALLS"),
    ("src/transport/frame_counts.rs", "HEADER_BLOCK_SLACK"),
    ("src/transport/meter.rs", "SMALL_DATA_FRAMES_PER_TURN"),
    ("src/transport/meter.rs", "BYTES_PER_TURN"),
    ("src/transport/meter.rs", "JOIN_LIMIT"),
    ("src/transport/reply_queue.rs", "QUEUE_LIMIT"),
    ("src/transport/tls/server.rs", "LINGER"),
    ("src/transport/tls/server.rs", "LINGER_BYTES"),
    ("src/transport/client_config.rs", "SHORTEST_KEEPALIVE"),
    ("src/server/running.rs", "EVICTION_INTERVAL"),
    ("src/wire/framing.rs", "FIRST_ALLOCATION_LIMIT"),
    ("src/wire/decode_cost.rs", "SCANNED_FROM"),
    ("src/wire/decode_cost.rs", "DEPTH"),
    ("src/wire/response_headers.rs", "QUOTED_BODY_LIMIT"),
    ("src/wire/timeout.rs", "TIMEOUT_LIMIT"),
    ("src/client/resolve/dns.rs", "LOOKUP_TIMEOUT"),
    ("src/client/proxy/tunnel.rs", "HEAD_LIMIT"),
    ("src/services/health.rs", "LIST_LIMIT"),
    ("src/cli/serve.rs", "DESCRIPTORS"),
];

/// The counters of a setting: the one of its name, unless there is another one, or none.
fn counters_of(config: &str, field: &str) -> String {
    let counter = match (config, field) {
        (_, "max_attempts") => {
            return "none: a call that has made all of them ends as the last one did".to_owned();
        }
        ("Backoff", _) => return "none: it follows every failure".to_owned(),
        // h2 does not tell of a block that it cut, but a client finds out.
        ("ClientHttp2Config", "max_header_list_size") => "max_metadata_size",
        (_, "accept_backoff_min" | "accept_backoff_max") => "accept_backoff",
        // One that is forgotten too early looks like one that is not remembered.
        (_, "reset_stream_duration") => "max_concurrent_reset_streams",
        (_, "max_frame_size") => "http2_errors",
        (_, "keepalive_time") => "keepalive_timeout",
        (_, "min_ping_interval") => "max_ping_strikes",
        (_, field) => field,
    };
    let names = Counter::ALL.map(Counter::name);
    assert!(names.contains(&counter), "nothing counts {field}");
    // Half of it is used up, and in the end all of it.
    if let "data_frame_budget" | "max_local_error_reset_streams" = counter {
        return format!("`{counter}`, `http2_budgets`");
    }
    format!("`{counter}`")
}

/// The names of a struct's fields, or of an enum's variants, with the texts above them.
fn items(file: &str, head: &str) -> Vec<(String, String)> {
    let source = source(file);
    let (_, body) = source.split_once(head).expect(head);
    let (body, _) = body.split_once("\n}\n").unwrap();
    let mut items = Vec::new();
    let mut docs: Vec<&str> = Vec::new();
    for line in body.lines().map(str::trim) {
        if let Some(text) = line.strip_prefix("///") {
            docs.push(text.trim());
        } else if !line.is_empty() && !line.starts_with("#[") {
            let name = line.strip_prefix("pub ").unwrap_or(line);
            let end = name.find([':', ',']).expect(name);
            items.push((name[..end].to_owned(), docs.join(" ")));
            docs.clear();
        }
    }
    items
}

fn source(file: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap()
}

/// The value of a constant, and the text above it.
fn constant(file: &str, name: &str) -> (String, String) {
    let source = source(file);
    let head = format!("const {name}: ");
    let (before, declaration) = source.split_once(&head).expect(name);
    let (declaration, _) = declaration.split_once(';').unwrap();
    let (_, value) = declaration.split_once(" = ").unwrap();
    let mut docs: Vec<&str> = Vec::new();
    // The last line is what stands before `const`: a visibility, or nothing.
    for line in before
        .lines()
        .rev()
        .skip(usize::from(!before.ends_with('\n')))
    {
        let Some(text) = line.strip_prefix("///") else {
            break;
        };
        docs.insert(0, text.trim());
    }
    assert!(!docs.is_empty(), "{file}: nothing is said of {name}");
    let docs = docs.join(" ").replace("[`", "`").replace("`]", "`");
    (format_constant(value), docs)
}

/// A constant's value for people: a number, a product of numbers, or a duration of one.
fn format_constant(value: &str) -> String {
    let product = |factors: &str| -> u64 {
        let numbers = factors
            .split('*')
            .map(|factor| factor.trim().replace('_', ""));
        numbers
            .map(|number| number.parse::<u64>().expect(value))
            .product()
    };
    let within = |name: &str| value.strip_prefix(name)?.strip_suffix(')');
    if value == "u64::MAX" {
        return "as many as there may be".to_owned();
    }
    if let Some(seconds) = within("Duration::from_secs(") {
        return format_value("", &format!("{}s", product(seconds)));
    }
    if let Some(millis) = within("Duration::from_millis(") {
        return format_value("", &format!("{}ms", product(millis)));
    }
    let number = product(value);
    // What is counted otherwise than in bytes is no multiple of 1,024.
    let unit = if number.is_multiple_of(1024) {
        "bytes"
    } else {
        ""
    };
    format_value(unit, &number.to_string())
}

/// What h2's builder is given that no setting of the same name says: its name, the value, and the comment
/// above.
fn given_to_h2(file: &str) -> Vec<(String, String, String)> {
    let source = source(file);
    let (_, chain) = source.split_once("::Builder::new()").expect(file);
    let (chain, _) = chain.split_once(".handshake").unwrap();
    let mut given = Vec::new();
    let mut why: Vec<&str> = Vec::new();
    let mut call = String::new();
    for line in chain.lines().map(str::trim) {
        if let Some(text) = line.strip_prefix("// ") {
            why.push(text);
            continue;
        }
        call += line;
        // A call may take several lines.
        if call.is_empty() || call.matches('(').count() > call.matches(')').count() {
            continue;
        }
        let (name, argument) = call[1..].split_once('(').unwrap();
        let argument = argument.strip_suffix(')').unwrap();
        let value = match argument.split_once("config.") {
            Some((_, setting)) => {
                let end = setting.find(|letter: char| !(letter.is_alphanumeric() || letter == '_'));
                format!("`{}`", &setting[..end.unwrap_or(setting.len())])
            }
            None if argument.parse::<bool>().is_ok() => format!("`{argument}`"),
            None => constant(file, argument).0,
        };
        if value != format!("`{name}`") {
            given.push((name.to_owned(), value, why.join(" ")));
        }
        call.clear();
        why.clear();
    }
    given
}

/// A text without the default's value, which has a column of its own. What else the sentence says stays.
fn without_default(docs: &str) -> String {
    let Some(start) = docs.find("Default ").or_else(|| docs.find("Default:")) else {
        return docs.to_owned();
    };
    // A sentence ends before a space. Numbers have commas and points, but no space behind these.
    let sentence = &docs[start..];
    let end = sentence.find(". ").map_or(sentence.len(), |end| end + 1);
    let (sentence, after) = sentence.split_at(end);
    let value = [", ", ": "]
        .iter()
        .filter_map(|mark| sentence.find(mark))
        .min();
    let rest = value.map_or("", |value| &sentence[value + 2..]);
    let rest = rest.strip_prefix("and ").unwrap_or(rest);
    // How fast a rate is refilled belongs to the value.
    let rest = if rest.ends_with("more each second.") {
        ""
    } else {
        rest
    };
    let mut letters = rest.chars();
    let rest: String = match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => String::new(),
    };
    let parts = [docs[..start].trim_end(), &rest, after.trim_start()];
    let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    parts.join(" ")
}

/// The values of a struct's fields, as its `Debug` shows them.
fn values(config: &impl Debug) -> BTreeMap<String, String> {
    let mut values = BTreeMap::new();
    let mut name = String::new();
    for line in format!("{config:#?}").lines() {
        // Fields are indented by four spaces, their parts by more.
        match line.strip_prefix("    ") {
            Some(field) if !field.starts_with([' ', '}', ')']) => {
                let (field, value) = field.split_once(": ").unwrap();
                name = field.to_owned();
                values.insert(name.clone(), value.trim_end_matches(',').to_owned());
            }
            Some(part) => {
                if let Some(value) = values.get_mut(&name) {
                    *value += part.trim().trim_end_matches(',');
                    value.push(' ');
                }
            }
            None => {}
        }
    }
    values
}

/// The same of a configuration that cannot be shown as a whole.
fn channel_values() -> BTreeMap<String, String> {
    let config = ChannelConfig::default();
    let values: [(&str, String); 10] = [
        ("connect_timeout", format!("{:?}", config.connect_timeout)),
        ("idle_timeout", format!("{:?}", config.idle_timeout)),
        ("max_pending_calls", config.max_pending_calls.to_string()),
        (
            "max_connections_per_address",
            config.max_connections_per_address.to_string(),
        ),
        ("max_recv_message", config.max_recv_message.to_string()),
        ("max_send_message", config.max_send_message.to_string()),
        ("max_attempts", config.max_attempts.to_string()),
        (
            "retry_buffer_per_call",
            config.retry_buffer_per_call.to_string(),
        ),
        (
            "retry_buffer_per_channel",
            config.retry_buffer_per_channel.to_string(),
        ),
        (
            "happy_eyeballs_delay",
            format!("{:?}", config.happy_eyeballs_delay),
        ),
    ];
    values.map(|(name, value)| (name.to_owned(), value)).into()
}

/// A value for people.
fn format_value(field: &str, value: &str) -> String {
    if value == "None" {
        return "off".to_owned();
    }
    if value.starts_with("Rate") {
        let number = |name: &str| {
            let (_, rest) = value.split_once(name).unwrap();
            let digits = rest.split(|letter: char| !letter.is_ascii_digit());
            digits
                .into_iter()
                .find(|digits| !digits.is_empty())
                .unwrap()
                .to_owned()
        };
        let (burst, refill) = (number("burst"), number("per_second"));
        return format!(
            "{}, {} more each second",
            with_commas(&burst),
            with_commas(&refill)
        );
    }
    // `Some(` and its end stand on lines of their own, or not.
    let value = value
        .trim_start_matches("Some(")
        .trim_end_matches([')', ' ']);
    if let Some(millis) = value.strip_suffix("ms") {
        return format!("{millis} ms");
    }
    if let Some(seconds) = value.strip_suffix('s') {
        return format!("{} s", with_commas(seconds));
    }
    let bytes = [
        "window",
        "size",
        "budget",
        "buffer",
        "message",
        "bytes",
        "buffer_per_call",
        "buffer_per_channel",
    ];
    if value.parse::<f64>().is_ok() && value.contains('.') {
        return value.to_owned();
    }
    let number: u64 = value.parse().unwrap_or_else(|_| panic!("{field}: {value}"));
    if !bytes.iter().any(|end| field.ends_with(end)) {
        return with_commas(value);
    }
    for (unit, size) in [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)] {
        if number >= size && number.is_multiple_of(size) {
            return format!("{} {unit}", number / size);
        }
    }
    format!("{} B", with_commas(value))
}

fn with_commas(digits: &str) -> String {
    let groups = digits.as_bytes().rchunks(3).rev();
    let groups: Vec<_> = groups.map(String::from_utf8_lossy).collect();
    groups.join(",")
}
