//! The layers of the source: who may import whom, where protocol names may stand, and that every
//! file of the protocol layers says which document it follows.
//!
//! The sources are read as text. A folder that is not there yet is no error.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use barewire::spec::{grpc, grpc::names};

/// One row of the table of layers.
struct Layer {
    /// The folder under `src/`.
    name: &'static str,
    /// The layers that it may use beside itself; `ROOT` stands for names re-exported by `lib.rs`.
    layers: &'static [&'static str],
    /// The outside crates that it may name, or paths into them.
    crates: &'static [&'static str],
}

// Wider than the plan of the layers in these points: header names are values of `http`, so `spec`
// names it; a `Request` holds its extensions and authority, so `call` does; interceptors open spans,
// so `call` names `tracing`; messages are bounded by prost's trait wherever they are typed;
// those that take long to decode take turns, by tokio's semaphore.
const ROOT: &str = "(the crate's root)";
const EVERYTHING: &str = "*";

#[rustfmt::skip]
const LAYERS: &[Layer] = &[
    Layer { name: "spec",      layers: &[],                                    crates: &["http"] },
    Layer { name: "wire",      layers: &["spec"],                              crates: &["bytes", "http", "base64", "flate2", "thiserror"] },
    Layer { name: "inspect",   layers: &["spec"],                              crates: &["bytes", "flate2", "tokio::io", "serde_json", "prost_reflect"] },
    Layer { name: "transport", layers: &["spec", "wire"],                      crates: &["h2", "tokio", "tokio_util", "tokio_rustls", "rustls", "rustls_native_certs", "http", "bytes", "thiserror", "tracing", "socket2"] },
    Layer { name: "call",      layers: &["wire", "transport"],                 crates: &["prost", "tokio::time", "tokio::sync", "tokio::task", "tokio::runtime", "bytes", "http", "tracing"] },
    Layer { name: "client",    layers: &["wire", "transport", "call"],         crates: &["tokio", "tracing", "prost", "base64", "bytes", "http", "serde_json", "thiserror"] },
    Layer { name: "server",    layers: &["wire", "transport", "call"],         crates: &["tokio", "tracing", "prost", "http", "bytes", "socket2"] },
    Layer { name: "services",  layers: &[ROOT, "call", "server"],              crates: &["prost", "tokio", "prost_types", "tracing"] },
    Layer { name: "tutorial",  layers: &[ROOT, "client", "server"],            crates: &["prost", "tokio", "serde", "serde_json"] },
    Layer { name: "interop",   layers: &[ROOT, "client", "server"],            crates: &["prost", "tokio", "serde", "serde_json"] },
    Layer { name: "codegen",   layers: &[],                                    crates: &["prost_build", "protox", "prost", "prost_types"] },
    Layer { name: "cli",       layers: &[EVERYTHING],                          crates: &[EVERYTHING] },
];

#[test]
fn every_folder_of_the_source_is_a_layer() {
    for entry in fs::read_dir(source()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        assert!(
            !path.is_dir() || LAYERS.iter().any(|layer| layer.name == name),
            "src/{name}"
        );
    }
}

#[test]
fn a_layer_uses_only_the_layers_and_crates_of_its_row() {
    let crates = dependencies();
    let mut checked = 0;
    for layer in LAYERS {
        for file in files(layer.name) {
            let text = fs::read_to_string(&file).unwrap();
            for found in paths(&tokens(&text), &module_of(&file), &crates) {
                checked += 1;
                assert!(
                    allowed(layer, &found),
                    "{} names {}",
                    file.display(),
                    found.join("::")
                );
            }
        }
    }
    assert!(
        checked > 50,
        "only {checked} paths were found: the reader must be broken"
    );
}

#[test]
fn names_of_the_protocol_stand_in_spec_only() {
    let protocol = [
        names::TIMEOUT,
        names::ENCODING,
        names::ACCEPT_ENCODING,
        names::MESSAGE_TYPE,
        names::STATUS,
        names::MESSAGE,
        names::STATUS_DETAILS,
        names::PREVIOUS_RPC_ATTEMPTS,
        names::RETRY_PUSHBACK,
        names::RESERVED_PREFIX,
        names::BINARY_SUFFIX,
        names::CONTENT_TYPE,
        names::USER_AGENT,
        names::TE,
        grpc::MEDIA_TYPE,
        grpc::MEDIA_TYPE_PROTO,
        grpc::IDENTITY,
        grpc::DEFLATE,
        grpc::TRAILERS,
        ":authority",
        ":method",
        ":path",
        ":scheme",
        ":status",
    ];
    for layer in LAYERS
        .iter()
        .filter(|layer| !["spec", "codegen", "cli"].contains(&layer.name))
    {
        for file in files(layer.name) {
            let text = fs::read_to_string(&file).unwrap();
            for token in tokens(&text) {
                if let Token::Text(text) = token {
                    assert!(
                        !protocol.contains(&&*text),
                        "{} spells {text:?}",
                        file.display()
                    );
                }
            }
        }
    }
}

#[test]
fn every_file_of_the_protocol_ends_its_module_doc_with_its_sources() {
    for layer in ["spec", "wire", "inspect"] {
        for file in files(layer) {
            let text = fs::read_to_string(&file).unwrap();
            let doc: Vec<&str> = text
                .lines()
                .take_while(|line| line.starts_with("//!"))
                .collect();
            let last = doc.rsplit(|line| *line == "//!").next().unwrap();
            let cited = last
                .first()
                .is_some_and(|line| line.starts_with("//! Spec: "));
            assert!(
                cited && last.last().unwrap().ends_with('.'),
                "{}: {last:?}",
                file.display()
            );
        }
    }
}

/// See `tests/calls/tokio.rs`.
#[test]
fn every_test_is_asked_what_is_left_of_it() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let suites = fs::read_dir(tests).unwrap().map(|it| it.unwrap().path());
    let mut folders: Vec<_> = suites.filter(|path| path.is_dir()).collect();
    let mut asked = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            if path.extension().is_none_or(|extension| extension != "rs") {
                continue;
            }
            let text = fs::read_to_string(&path).unwrap();
            let is_test = |line: &str| line.trim_start().starts_with("#[tokio::test");
            if text.lines().any(is_test) {
                let ours = |line| matches!(line, "use crate::tokio;" | "mod tokio;");
                let path = path.display();
                assert!(text.lines().any(ours), "{path}: use crate::tokio;");
                asked += 1;
            }
        }
    }
    assert!(asked > 50, "{asked} files");
}

#[test]
fn the_source_does_not_cite_the_project_s_own_rule_numbers() {
    for layer in LAYERS {
        for file in files(layer.name) {
            let text = fs::read_to_string(&file).unwrap();
            let mut words = text.split(|letter: char| !letter.is_ascii_alphanumeric());
            let number = words.find(|word| {
                let digits = word.strip_prefix(['P', 'D']).unwrap_or_default();
                (1..=3).contains(&digits.len())
                    && digits.bytes().all(|digit| digit.is_ascii_digit())
            });
            assert_eq!(number, None, "{}", file.display());
        }
    }
}

/// The reader finds what it is there to find.
#[test]
#[rustfmt::skip]
fn a_forbidden_path_is_found_however_it_is_written() {
    let cases: &[(&str, &[&str])] = &[
        ("use h2::Reason;",                              &["h2::Reason"]),
        ("pub use ::h2::{Reason, client::Connection};",  &["h2::Reason", "h2::client::Connection"]),
        ("use crate::server::Server as S;",              &["crate::server::Server"]),
        ("use crate::{spec, call::{self, Request}};",    &["crate::spec", "crate::call", "crate::call::Request"]),
        ("use super::timeout::parse;",                   &["crate::wire::timeout::parse"]),
        ("use super::super::server::Server;",            &["crate::server::Server"]),
        ("use barewire::Server;",                        &["crate::Server"]),
        ("fn f() -> crate::server::Server { todo() }",   &["crate::server::Server"]),
        ("let x = h2::Reason::NO_ERROR;",                &["h2::Reason::NO_ERROR"]),
        ("extern crate h2;",                             &["h2"]),
        ("use std::h2::x; // use h2::y;",                &[]),
        ("/* h2::x /* nested */ h2::z */ 'h'; b'\\''; ", &[]),
        ("let x = \"h2::x\"; let y = r#\"h2::\"y\"#;",   &[]),
        ("self.h2::<u8>(); local::h2::x();",             &[]),
        ("fn f<'h2>(x: &'h2 u8) {}",                     &[]),
    ];
    let module = ["crate", "wire", "framing"].map(String::from);
    let crates = BTreeSet::from(["h2".to_owned()]);
    for (text, expected) in cases {
        let found: Vec<_> = paths(&tokens(text), &module, &crates).iter().map(|path| path.join("::")).collect();
        assert_eq!(found, *expected, "{text}");
    }
}

fn allowed(layer: &Layer, path: &[String]) -> bool {
    let (first, rest) = path.split_first().unwrap();
    if first == "crate" {
        let known = |name: &&String| LAYERS.iter().any(|other| other.name == name.as_str());
        let target = rest
            .first()
            .filter(known)
            .map_or(ROOT, |name| name.as_str());
        return target == layer.name
            || layer
                .layers
                .iter()
                .any(|name| [target, EVERYTHING].contains(name));
    }
    let path = path.join("::");
    layer.crates.iter().any(|permitted| {
        let inside = path
            .strip_prefix(permitted)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"));
        inside || *permitted == EVERYTHING
    })
}

/// What counts in a source text; comments and lifetimes are left out.
#[derive(Clone, Debug, PartialEq)]
enum Token {
    Word(String),
    /// `::`
    Path,
    Mark(char),
    /// The inside of a string literal.
    Text(String),
}

fn tokens(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            comment_length(rest)
        } else if let Some((inside, length)) = string(rest) {
            tokens.push(Token::Text(inside));
            length
        } else if let Some(length) = character_or_lifetime_length(rest) {
            length
        } else if letter.is_alphanumeric() || letter == '_' {
            let end = rest.find(|letter: char| !letter.is_alphanumeric() && letter != '_');
            let end = end.unwrap_or(rest.len());
            tokens.push(Token::Word(rest[..end].to_owned()));
            end
        } else if rest.starts_with("::") {
            tokens.push(Token::Path);
            2
        } else {
            if !letter.is_whitespace() {
                tokens.push(Token::Mark(letter));
            }
            letter.len_utf8()
        };
        rest = &rest[length..];
    }
    tokens
}

/// The length of a block comment. They nest.
fn comment_length(text: &str) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < text.len() {
        if text[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if text[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += text[at..].chars().next().unwrap().len_utf8();
        }
    }
    at
}

/// The inside and the length of a string literal, if the text begins with one.
fn string(text: &str) -> Option<(String, usize)> {
    let prefix = text.find('"')?;
    let (prefix, body) = text.split_at(prefix);
    let body = &body[1..];
    let hashes = prefix.trim_start_matches(['b', 'c', 'r']);
    let raw = prefix.contains('r');
    if prefix.len() - hashes.len() > 2
        || hashes.bytes().any(|byte| byte != b'#')
        || !raw && !hashes.is_empty()
    {
        return None;
    }
    if raw {
        let end = format!("\"{hashes}");
        let inside = &body[..body.find(&end)?];
        return Some((
            inside.to_owned(),
            prefix.len() + 1 + inside.len() + end.len(),
        ));
    }
    let mut escaped = false;
    for (at, letter) in body.char_indices() {
        match letter {
            '"' if !escaped => return Some((body[..at].to_owned(), prefix.len() + 1 + at + 1)),
            letter => escaped = letter == '\\' && !escaped,
        }
    }
    None
}

/// The length of what begins with a single quote: a character or a lifetime.
fn character_or_lifetime_length(text: &str) -> Option<usize> {
    let inside = text
        .strip_prefix("b'")
        .or_else(|| text.strip_prefix('\''))?;
    let before = text.len() - inside.len();
    let mut letters = inside.char_indices();
    let (_, first) = letters.next()?;
    if first == '\\' {
        let (after, _) = letters.nth(1)?;
        return Some(before + after + inside[after..].find('\'')? + 1);
    }
    match letters.next() {
        Some((at, '\'')) => Some(before + at + 1),
        _ => {
            let end = inside.find(|letter: char| !letter.is_alphanumeric() && letter != '_');
            Some(before + end.unwrap_or(inside.len()))
        }
    }
}

/// All paths that lead out of the module: into this crate (as `crate::…`) and into outside crates.
fn paths(tokens: &[Token], module: &[String], crates: &BTreeSet<String>) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        let after_path = at > 0 && tokens[at - 1] == Token::Path;
        let leading = after_path
            && !matches!(tokens.get(at.wrapping_sub(2)), Some(Token::Word(word)) if !KEYWORDS.contains(&word.as_str()));
        let continued = after_path && !leading || at > 0 && tokens[at - 1] == Token::Mark('.');
        let Token::Word(word) = token else {
            at += 1;
            continue;
        };
        let starts = ["crate", "super", "self", "barewire"].contains(&word.as_str())
            || crates.contains(word);
        let declared = at > 0 && tokens[at - 1] == Token::Word("crate".into());
        let is_path = tokens.get(at + 1) == Some(&Token::Path);
        if continued || !starts || !is_path && !declared {
            at += 1;
            continue;
        }
        let mut trees = Vec::new();
        at = tree(tokens, at, &[], &mut trees);
        found.extend(
            trees
                .into_iter()
                .filter_map(|path| resolve(&path, module, crates)),
        );
    }
    found
}

/// Words after which `::` begins a path and does not continue one.
const KEYWORDS: [&str; 8] = ["use", "as", "in", "return", "dyn", "impl", "for", "mut"];

/// Reads a path, or a tree of them in braces, from its first word. Gives where it ends.
fn tree(tokens: &[Token], start: usize, stem: &[String], found: &mut Vec<Vec<String>>) -> usize {
    let mut path = stem.to_vec();
    let mut at = start;
    loop {
        match tokens.get(at) {
            Some(Token::Word(word)) => path.push(word.clone()),
            Some(Token::Mark('{')) => {
                at += 1;
                while let Some(Token::Word(_) | Token::Path | Token::Mark('*')) = tokens.get(at) {
                    at = tree(tokens, at, &path, found);
                    while !matches!(tokens.get(at), None | Some(Token::Mark(',' | '}'))) {
                        at += 1;
                    }
                    if tokens.get(at) == Some(&Token::Mark(',')) {
                        at += 1;
                    }
                }
                return at + 1;
            }
            _ => break,
        }
        at += 1;
        match (tokens.get(at), tokens.get(at + 1)) {
            (Some(Token::Path), Some(Token::Word(_) | Token::Mark('{'))) => at += 1,
            _ => break,
        }
    }
    // `call::{self, Request}` names the module itself.
    if path.len() > 1 && path.last().is_some_and(|word| word == "self") {
        path.pop();
    }
    found.push(path);
    at.max(start + 1)
}

/// The path from the crate's root or from an outside crate; `None` if it does neither.
fn resolve(path: &[String], module: &[String], crates: &BTreeSet<String>) -> Option<Vec<String>> {
    let (first, rest) = path.split_first()?;
    match first.as_str() {
        "crate" | "barewire" => Some([&["crate".to_owned()], rest].concat()),
        "self" | "super" => {
            let climbs = path.iter().filter(|word| *word == "super").count();
            let names = path
                .iter()
                .filter(|word| !["self", "super"].contains(&word.as_str()));
            let base = &module[..module.len().saturating_sub(climbs)];
            Some(base.iter().chain(names).cloned().collect())
        }
        name => crates.contains(name).then(|| path.to_vec()),
    }
}

/// The module that a file is, from the crate's root.
fn module_of(file: &Path) -> Vec<String> {
    let path = file.strip_prefix(source()).unwrap().with_extension("");
    let names = path.iter().map(|name| name.to_str().unwrap().to_owned());
    ["crate".to_owned()]
        .into_iter()
        .chain(names.filter(|name| name != "mod"))
        .collect()
}

/// The crates that Cargo.toml names, spelled as in Rust.
fn dependencies() -> BTreeSet<String> {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    let text = fs::read_to_string(manifest).unwrap();
    let mut section = "";
    let mut crates = BTreeSet::new();
    for line in text.lines() {
        if line.starts_with('[') {
            section = line.trim();
        } else if section.ends_with("dependencies]")
            && let Some((name, _)) = line.split_once('=')
        {
            crates.insert(name.trim().replace('-', "_"));
        }
    }
    assert!(crates.contains("h2"), "no dependencies found in Cargo.toml");
    crates
}

/// All Rust files of a layer.
fn files(layer: &str) -> Vec<PathBuf> {
    let mut folders = vec![source().join(layer)];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else {
            continue;
        };
        for path in entries.map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}
