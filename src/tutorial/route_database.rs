//! What the route guide knows: features in a JSON file, in their order.
//!
//! ```json
//! [
//!   {"location": {"latitude": 409146138, "longitude": -746188906}, "name": "a place"},
//!   {"location": {"latitude": 411733222, "longitude": -744228360}, "name": ""}
//! ]
//! ```
//!
//! Degrees are times ten million, as in `routeguide.Point`. A feature may have an empty name.

use std::collections::HashMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Unexpected, Visitor};

use super::proto::routeguide::{Feature, Point};

/// The database that comes with barewire: about a hundred places in New Jersey.
pub const BUILT_IN_ROUTE_DATABASE: &str = include_str!("route_guide_db.json");

/// The features that the route guide knows.
#[derive(Clone, Debug, Default)]
pub struct RouteDatabase {
    features: Vec<Feature>,
    /// For each point, which feature is there: the first, if there are several.
    by_point: HashMap<Point, usize>,
}

impl RouteDatabase {
    /// Reads a database from JSON.
    ///
    /// # Errors
    ///
    /// The text is not JSON, or not of this form; or degrees are not on earth.
    pub fn parse(json: &[u8]) -> Result<Self, RouteDatabaseError> {
        // Some editors begin a file with a mark that JSON does not know. RFC 8259 §8.1 lets us
        // overlook it.
        let json = json.strip_prefix(b"\xef\xbb\xbf").unwrap_or(json);
        let entries: Vec<Entry> = serde_json::from_slice(json)?;
        let features: Vec<_> = entries.into_iter().map(Entry::into_feature).collect();
        let mut by_point = HashMap::with_capacity(features.len());
        for (index, feature) in features.iter().enumerate() {
            let location = feature.location.unwrap_or_default();
            by_point.entry(location).or_insert(index);
        }
        Ok(Self { features, by_point })
    }

    /// All features, in the order of the file.
    pub fn features(&self) -> &[Feature] {
        &self.features
    }

    /// The feature at exactly this point.
    pub fn feature_at(&self, point: &Point) -> Option<&Feature> {
        self.features.get(*self.by_point.get(point)?)
    }
}

/// What is wrong with a route database, and where.
#[derive(Debug)]
#[non_exhaustive]
pub struct RouteDatabaseError {
    /// The line, from one.
    pub line: usize,
    /// The column, from one; zero where the fault is an end of line or file.
    pub column: usize,
    /// What was found there, and what was expected.
    pub what: String,
}

impl fmt::Display for RouteDatabaseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, column, what } = self;
        write!(f, "line {line}, column {column}: {what}")
    }
}

impl std::error::Error for RouteDatabaseError {}

impl From<serde_json::Error> for RouteDatabaseError {
    fn from(error: serde_json::Error) -> Self {
        let (line, column) = (error.line(), error.column());
        let text = error.to_string();
        let place = format!(" at line {line} column {column}");
        let what = text.strip_suffix(&place).unwrap_or(&text).to_owned();
        Self { line, column, what }
    }
}

#[derive(serde::Deserialize)]
#[serde(expecting = "a feature, an object with location and name")]
struct Entry {
    location: Location,
    name: String,
}

#[derive(serde::Deserialize)]
#[serde(expecting = "a location, an object with latitude and longitude")]
struct Location {
    latitude: Degrees<900_000_000>,
    longitude: Degrees<1_800_000_000>,
}

impl Entry {
    fn into_feature(self) -> Feature {
        let Location {
            latitude: Degrees(latitude),
            longitude: Degrees(longitude),
        } = self.location;
        Feature {
            name: self.name,
            location: Some(Point {
                latitude,
                longitude,
            }),
        }
    }
}

/// Degrees times ten million, at most `LIMIT` either way.
struct Degrees<const LIMIT: i32>(i32);

impl<'de, const LIMIT: i32> Deserialize<'de> for Degrees<LIMIT> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_i64(DegreesVisitor::<LIMIT>)
    }
}

struct DegreesVisitor<const LIMIT: i32>;

impl<const LIMIT: i32> Visitor<'_> for DegreesVisitor<LIMIT> {
    type Value = Degrees<LIMIT>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "degrees times ten million, a whole number from -{LIMIT} to {LIMIT}"
        )
    }

    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Self::Value, E> {
        i32::try_from(number)
            .ok()
            .filter(|degrees| (-LIMIT..=LIMIT).contains(degrees))
            .map(Degrees)
            .ok_or_else(|| E::invalid_value(Unexpected::Signed(number), &self))
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Self::Value, E> {
        match i64::try_from(number) {
            Ok(number) => self.visit_i64(number),
            Err(_) => Err(E::invalid_value(Unexpected::Unsigned(number), &self)),
        }
    }
}
