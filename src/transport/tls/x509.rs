//! What a certificate says that rustls does not tell: its dates, common name and purposes.
//!
//! ```text
//!   SEQUENCE                  Certificate
//!     SEQUENCE                TBSCertificate
//!       [0] INTEGER           version
//!       INTEGER, SEQUENCE     serialNumber, signature
//!       SEQUENCE              issuer
//!       SEQUENCE              validity: notBefore, notAfter
//!       SEQUENCE              subject, of SET of SEQUENCE: OBJECT IDENTIFIER, value
//!       SEQUENCE              subjectPublicKeyInfo
//!       [3] SEQUENCE          extensions, of SEQUENCE: OBJECT IDENTIFIER, BOOLEAN, OCTET STRING
//!     SEQUENCE, BIT STRING    signatureAlgorithm, signatureValue
//! ```
//!
//! This is not how certificates are verified: webpki does that. It is for the few that webpki does not
//! take though the user gave them as roots. Whatever is not as it should be makes the whole unreadable.
//!
//! Spec: RFC 5280 §4.1, §4.2; X.690 §8, §10.1.

use std::time::Duration;

use rustls::pki_types::UnixTime;

/// The fields of a certificate that matter here.
pub(super) struct Certificate<'a> {
    pub(super) not_before: UnixTime,
    pub(super) not_after: UnixTime,
    /// The common name of the subject, if it has exactly one.
    pub(super) common_name: Option<&'a str>,
    /// Whether names stand in a subjectAltName, be they of hosts or not.
    pub(super) has_alternative_names: bool,
    /// The extended key usage, if there is one: each an object identifier.
    pub(super) purposes: Option<Vec<&'a [u8]>>,
}

impl<'a> Certificate<'a> {
    /// Reads a certificate in DER.
    pub(super) fn parse(der: &'a [u8]) -> Option<Self> {
        let mut certificate = Der(der).only(SEQUENCE)?;
        let mut fields = certificate.next(SEQUENCE)?;
        fields.next(VERSION)?;
        fields.next(INTEGER)?;
        fields.next(SEQUENCE)?;
        fields.next(SEQUENCE)?;
        let mut validity = fields.next(SEQUENCE)?;
        let subject = fields.next(SEQUENCE)?;
        fields.next(SEQUENCE)?;
        let extensions = match fields.next(EXTENSIONS) {
            Some(extensions) => Extensions::parse(extensions.only(SEQUENCE)?)?,
            None => Extensions::default(),
        };
        let read = Self {
            not_before: validity.next_time()?,
            not_after: validity.next_time()?,
            common_name: common_name(subject)?,
            has_alternative_names: extensions.has_alternative_names,
            purposes: extensions.purposes,
        };
        (fields.0.is_empty() && validity.0.is_empty()).then_some(read)
    }

    /// Whether a server may show it. Without an extended key usage it is for everything.
    pub(super) fn is_for_servers(&self) -> bool {
        self.purposes
            .as_ref()
            .is_none_or(|purposes| purposes.contains(&SERVER_AUTH))
    }
}

#[derive(Default)]
struct Extensions<'a> {
    has_alternative_names: bool,
    purposes: Option<Vec<&'a [u8]>>,
}

impl<'a> Extensions<'a> {
    fn parse(mut list: Der<'a>) -> Option<Self> {
        let mut read = Self::default();
        while !list.0.is_empty() {
            let mut extension = list.next(SEQUENCE)?;
            let id = extension.next(OBJECT_IDENTIFIER)?;
            // Whether it is critical. It stands there only if it is.
            let _ = extension.next(BOOLEAN);
            let value = extension.only(OCTET_STRING)?;
            if id.0 == SUBJECT_ALT_NAME {
                read.has_alternative_names = true;
            } else if id.0 == EXT_KEY_USAGE {
                let mut list = value.only(SEQUENCE)?;
                let purposes = read.purposes.get_or_insert_default();
                while !list.0.is_empty() {
                    purposes.push(list.next(OBJECT_IDENTIFIER)?.0);
                }
            }
        }
        Some(read)
    }
}

// Two common names leave open which of them is meant, so that neither counts.
fn common_name(mut subject: Der<'_>) -> Option<Option<&str>> {
    let mut found = Vec::new();
    while !subject.0.is_empty() {
        let mut attributes = subject.next(SET)?;
        while !attributes.0.is_empty() {
            let mut attribute = attributes.next(SEQUENCE)?;
            if attribute.next(OBJECT_IDENTIFIER)?.0 == COMMON_NAME {
                let text = attribute
                    .next(UTF8_STRING)
                    .or_else(|| attribute.next(PRINTABLE_STRING));
                found.push(text.and_then(|text| str::from_utf8(text.0).ok()));
            }
        }
    }
    match found[..] {
        [only] => Some(only),
        _ => Some(None),
    }
}

/// Elements in DER, one after the other.
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    /// Takes the content of the next element, if it has this tag.
    fn next(&mut self, tag: u8) -> Option<Self> {
        let (found, rest) = self.0.split_first()?;
        if *found != tag {
            return None;
        }
        // The shortest form of the length is the only one. X.690 §10.1.
        let (length, rest) = match *rest {
            [length @ ..=0x7f, ref rest @ ..] => (usize::from(length), rest),
            [0x81, length @ 0x80..=0xff, ref rest @ ..] => (usize::from(length), rest),
            [0x82, high @ 1..=0xff, low, ref rest @ ..] => {
                (usize::from(u16::from_be_bytes([high, low])), rest)
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some(Self(content))
    }

    /// The content of the element that is alone here.
    fn only(mut self, tag: u8) -> Option<Self> {
        let content = self.next(tag)?;
        self.0.is_empty().then_some(content)
    }

    /// Takes a moment. RFC 5280 §4.1.2.5.
    fn next_time(&mut self) -> Option<UnixTime> {
        let (mut text, year) = if let Some(Self(mut text)) = self.next(UTC_TIME) {
            let year = take_number(&mut text)?;
            (text, if year < 50 { 2000 + year } else { 1900 + year })
        } else {
            let Self(mut text) = self.next(GENERALIZED_TIME)?;
            let century = take_number(&mut text)?;
            let year = take_number(&mut text)?;
            (text, 100 * century + year)
        };
        let month = take_number(&mut text)?;
        let day = take_number(&mut text)?;
        let hour = take_number(&mut text)?;
        let minute = take_number(&mut text)?;
        let second = take_number(&mut text)?;
        let days = days_since_1970(year, month, day)?;
        if text != b"Z" || hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        let seconds = ((24 * days + hour) * 60 + minute) * 60 + second;
        Some(UnixTime::since_unix_epoch(Duration::from_secs(seconds)))
    }
}

/// Takes a number of two digits.
fn take_number(text: &mut &[u8]) -> Option<u64> {
    let (&[tens @ b'0'..=b'9', ones @ b'0'..=b'9'], rest) = text.split_first_chunk()? else {
        return None;
    };
    *text = rest;
    Some(u64::from(tens - b'0') * 10 + u64::from(ones - b'0'))
}

/// `None` for a day that there is not, or that is earlier.
fn days_since_1970(year: u64, month: u64, day: u64) -> Option<u64> {
    let leap = u64::from(is_leap(year));
    let months = [31, 28 + leap, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let before = usize::try_from(month.checked_sub(1)?).ok()?;
    if !(1..=*months.get(before)?).contains(&day) {
        return None;
    }
    let years = 365 * year.checked_sub(1970)? + leap_years_before(year) - leap_years_before(1970);
    Some(years + months.iter().take(before).sum::<u64>() + day - 1)
}

fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

fn leap_years_before(year: u64) -> u64 {
    let last = year - 1;
    last / 4 - last / 100 + last / 400
}

// Tags. X.690 §8.1.2.
const BOOLEAN: u8 = 0x01;
const INTEGER: u8 = 0x02;
const OCTET_STRING: u8 = 0x04;
const OBJECT_IDENTIFIER: u8 = 0x06;
const UTF8_STRING: u8 = 0x0c;
const PRINTABLE_STRING: u8 = 0x13;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const VERSION: u8 = 0xa0;
const EXTENSIONS: u8 = 0xa3;

/// 2.5.4.3. RFC 5280 appendix A.1.
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
/// 2.5.29.17. RFC 5280 §4.2.1.6.
const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 0x11];
/// 2.5.29.37. RFC 5280 §4.2.1.12.
const EXT_KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x25];
/// 1.3.6.1.5.5.7.3.1. RFC 5280 §4.2.1.12.
const SERVER_AUTH: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x01];
