//! JSON as protobuf writes it, value by value, each of which knows where it stands.
//!
//! ```text
//!  what it is           how it looks
//!  absent               missing, or null
//!  a duration           "1.5s": a number of JSON without an exponent, then s
//!  a number of 64 bits  1024, or "1024" since not every language has 64 bits for a JSON number
//!  a status code        14, "UNAVAILABLE", "unavailable"
//! ```
//!
//! Spec: Protocol Buffers §JSON Mapping; gRFC A6 §Validation of retryPolicy.

use std::time::Duration;

use serde_json::{Map, Value};

use super::ServiceConfigError;
use crate::client::flaw::Flaw;
use crate::wire::Code;

/// A value and where it stands.
pub(super) struct Field<'a> {
    path: String,
    value: &'a Value,
}

impl<'a> Field<'a> {
    /// The value that has all others in it.
    pub(super) const fn root(value: &'a Value) -> Self {
        let path = String::new();
        Self { path, value }
    }

    /// A member of an object. What is absent is null.
    pub(super) fn member(&self, name: &str) -> Self {
        Self {
            path: self.path_of(name),
            value: self.value.get(name).unwrap_or(&Value::Null),
        }
    }

    /// The field itself, if it is not absent.
    pub(super) fn given(self) -> Option<Self> {
        (!self.value.is_null()).then_some(self)
    }

    /// What a reader makes of the field, if it is not absent.
    pub(super) fn optional<T>(
        &self,
        read: impl FnOnce(&Self) -> Result<T, ServiceConfigError>,
    ) -> Result<Option<T>, ServiceConfigError> {
        (!self.value.is_null()).then(|| read(self)).transpose()
    }

    /// The members of an object.
    pub(super) fn object(&self) -> Result<&'a Map<String, Value>, ServiceConfigError> {
        let object = self.value.as_object();
        object.ok_or_else(|| self.refuse("an object"))
    }

    /// The name and the value of an object's only member.
    pub(super) fn only_member(&self) -> Result<(&'a str, Self), ServiceConfigError> {
        let mut names = self.object()?.keys();
        match (names.next(), names.next()) {
            (Some(name), None) => Ok((name, self.member(name))),
            (None, _) | (Some(_), Some(_)) => Err(self.refuse("an object with one member")),
        }
    }

    /// The items of a list.
    pub(super) fn list(&self) -> Result<Vec<Self>, ServiceConfigError> {
        let Some(list) = self.value.as_array() else {
            return Err(self.refuse("a list"));
        };
        let items = list.iter().enumerate().map(|(index, value)| Self {
            path: format!("{}[{index}]", self.path),
            value,
        });
        Ok(items.collect())
    }

    pub(super) fn boolean(&self) -> Result<bool, ServiceConfigError> {
        let boolean = self.value.as_bool();
        boolean.ok_or_else(|| self.refuse("true or false"))
    }

    pub(super) fn text(&self) -> Result<&'a str, ServiceConfigError> {
        self.value.as_str().ok_or_else(|| self.refuse("a string"))
    }

    /// A JSON integer.
    pub(super) fn integer(&self) -> Result<u32, ServiceConfigError> {
        let integer = self.value.as_u64();
        integer
            .and_then(|integer| u32::try_from(integer).ok())
            .ok_or_else(|| self.refuse("an unsigned integer of 32 bits"))
    }

    /// An integer of up to 64 bits, which may be written as a string.
    pub(super) fn large_integer(&self) -> Result<u64, ServiceConfigError> {
        let digits = self.value.as_str().filter(|text| is_digits(text));
        let integer = digits.and_then(|digits| digits.parse().ok());
        integer
            .or_else(|| self.value.as_u64())
            .ok_or_else(|| self.refuse("an unsigned integer of 64 bits"))
    }

    pub(super) fn number(&self) -> Result<f64, ServiceConfigError> {
        self.value.as_f64().ok_or_else(|| self.refuse("a number"))
    }

    pub(super) fn duration(&self) -> Result<Duration, ServiceConfigError> {
        let text = self.value.as_str();
        text.and_then(parse_duration)
            .ok_or_else(|| self.refuse("a duration such as \"1.5s\""))
    }

    /// A list of status codes. `OK` may stand there, and means nothing.
    pub(super) fn codes(&self) -> Result<Vec<Code>, ServiceConfigError> {
        let codes = self.list()?.into_iter().map(|item| item.code());
        codes.filter_map(Result::transpose).collect()
    }

    fn code(&self) -> Result<Option<Code>, ServiceConfigError> {
        let number = self.value.as_u64().map(u32::try_from);
        let name = self.value.as_str();
        if number == Some(Ok(0)) || name.is_some_and(|name| name.eq_ignore_ascii_case("OK")) {
            return Ok(None);
        }
        let by_number = number.and_then(|number| Code::from_number(number.ok()?));
        let code = by_number.or_else(|| Code::from_name(name?));
        code.map(Some)
            .ok_or_else(|| self.refuse("a status code, as a number or a name"))
    }

    /// What was read from this object, unless it breaks a rule beyond its form.
    pub(super) fn checked<T>(
        &self,
        read: T,
        check: impl FnOnce(&T) -> Result<(), Flaw>,
    ) -> Result<T, ServiceConfigError> {
        let checked = check(&read);
        checked.map_err(|flaw| ServiceConfigError::InvalidField {
            path: self.path_of(flaw.json),
            found: flaw.found,
            expected: flaw.expected,
        })?;
        Ok(read)
    }

    /// The field is not what it must be.
    pub(super) fn refuse(&self, expected: &'static str) -> ServiceConfigError {
        let path = if self.path.is_empty() {
            "the whole"
        } else {
            &self.path
        };
        ServiceConfigError::InvalidField {
            path: path.to_owned(),
            found: shown(self.value),
            expected,
        }
    }

    fn path_of(&self, name: &str) -> String {
        if self.path.is_empty() {
            return cut(name.to_owned());
        }
        format!("{}.{}", self.path, cut(name.to_owned()))
    }
}

/// A value as it stands in an error, cut where it is long.
fn shown(value: &Value) -> String {
    if value.is_null() {
        return "missing".to_owned();
    }
    cut(value.to_string())
}

fn cut(mut text: String) -> String {
    if let Some((end, _)) = text.char_indices().nth(SHOWN_LIMIT) {
        text.truncate(end);
        text.push('…');
    }
    text
}

fn parse_duration(text: &str) -> Option<Duration> {
    let number = text.strip_suffix('s')?;
    let (seconds, decimals) = number.split_once('.').unwrap_or((number, "0"));
    // JSON knows no numbers such as 01, and a duration has nanoseconds at the finest.
    let leading_zero = seconds.len() > 1 && seconds.starts_with('0');
    if leading_zero || !is_digits(seconds) || !is_digits(decimals) || decimals.len() > 9 {
        return None;
    }
    let seconds = seconds.parse().ok()?;
    let nanoseconds = format!("{decimals:0<9}").parse().ok()?;
    (seconds <= DURATION_SECONDS_LIMIT).then(|| Duration::new(seconds, nanoseconds))
}

/// One digit or more, and nothing else: the integer parser of the standard library also takes "+1".
fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Ten thousand years. Protocol Buffers §google.protobuf.Duration.
const DURATION_SECONDS_LIMIT: u64 = 315_576_000_000;

/// Enough of a value or a name to recognize it, in characters.
const SHOWN_LIMIT: usize = 60;
