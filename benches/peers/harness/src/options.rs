//! Options as `name=value`, all of them with a default.

use std::collections::HashMap;
use std::str::FromStr;

use crate::Fault;

pub struct Options {
    /// The words without `=`: what is to be done.
    pub words: Vec<String>,
    values: HashMap<String, String>,
}

impl Options {
    pub fn from_arguments() -> Self {
        let (mut words, mut values) = (Vec::new(), HashMap::new());
        for argument in std::env::args().skip(1) {
            match argument.split_once('=') {
                Some((name, value)) => drop(values.insert(name.to_owned(), value.to_owned())),
                None => words.push(argument),
            }
        }
        Self { words, values }
    }

    /// The word at this place, or nothing.
    pub fn word(&self, place: usize) -> &str {
        self.words.get(place).map_or("", String::as_str)
    }

    pub fn text(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    pub fn number<N: FromStr>(&self, name: &str, default: N) -> Result<N, Fault> {
        let Some(text) = self.text(name) else {
            return Ok(default);
        };
        text.parse()
            .map_err(|_| format!("{name}={text} is not a number that fits").into())
    }

    /// The bytes of the file that this option names.
    pub fn file(&self, name: &str) -> Result<Option<Vec<u8>>, Fault> {
        match self.text(name) {
            Some(path) => Ok(Some(
                std::fs::read(path).map_err(|error| format!("{path}: {error}"))?,
            )),
            None => Ok(None),
        }
    }
}
