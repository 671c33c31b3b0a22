//! What is wrong with a field of plain data, said for those who set it in code and for those who
//! wrote it as JSON.

use std::fmt;

/// A field that is not what it must be.
#[derive(Debug)]
pub(super) struct Flaw {
    /// The field's name in code.
    pub(super) field: &'static str,
    /// Its name in a service config, if it can stand there.
    pub(super) json: &'static str,
    /// Its value.
    pub(super) found: String,
    /// What it must be, as it follows "must be".
    pub(super) expected: &'static str,
}

impl Flaw {
    /// Passes if the condition holds.
    pub(super) fn unless(
        holds: bool,
        (field, json): (&'static str, &'static str),
        found: impl fmt::Debug,
        expected: &'static str,
    ) -> Result<(), Self> {
        if holds {
            return Ok(());
        }
        Err(Self {
            field,
            json,
            found: format!("{found:?}"),
            expected,
        })
    }
}

impl fmt::Display for Flaw {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            field,
            found,
            expected,
            json: _,
        } = self;
        write!(formatter, "{field} is {found}, but must be {expected}")
    }
}
