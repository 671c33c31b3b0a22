//! The file of the route guide's places.

use barewire::tutorial::proto::routeguide::Point;
use barewire::tutorial::{BUILT_IN_ROUTE_DATABASE, RouteDatabase};

use crate::conversation::PLACES;

#[test]
fn the_built_in_database_is_whole() {
    let database = RouteDatabase::parse(BUILT_IN_ROUTE_DATABASE.as_bytes()).unwrap();
    let nameless = database
        .features()
        .iter()
        .filter(|feature| feature.name.is_empty());
    assert!(
        database.features().len() >= 100,
        "{}",
        database.features().len()
    );
    assert!((3..10).contains(&nameless.count()));
    // Where the tutorial's client asks first, and where it expects nothing.
    let known = database.feature_at(&Point {
        latitude: 409_146_138,
        longitude: -746_188_906,
    });
    assert!(known.unwrap().name.starts_with("Berkshire Valley"));
    assert_eq!(database.feature_at(&Point::default()), None);
    for feature in database.features() {
        let found = database.feature_at(&feature.location.unwrap());
        assert_eq!(found, Some(feature), "two features at one point");
    }
}

#[test]
fn a_mark_at_the_beginning_of_the_file_is_overlooked() {
    let marked = format!("\u{feff}{PLACES}");
    assert_eq!(
        RouteDatabase::parse(marked.as_bytes())
            .unwrap()
            .features()
            .len(),
        6
    );
    assert_eq!(RouteDatabase::parse(b"[]").unwrap().features(), []);
}

#[test]
#[rustfmt::skip]
fn a_broken_database_says_where_and_what_was_expected() {
    let place = |latitude: &str, longitude: &str| {
        format!("[\n  {{\"location\": {{\"latitude\": {latitude}, \"longitude\": {longitude}}}, \"name\": \"\"}}\n]")
    };
    let (south, east) = (place("-900000001", "0"), place("0", "1800000001"));
    let (float, text) = (place("40.9", "0"), place("0", "\"east\""));
    let huge = place("18446744073709551615", "0");
    let cases: &[(&str, &str)] = &[
        ("",                          "line 1, column 0: EOF while parsing a value"),
        ("places",                    "line 1, column 1: expected value"),
        ("{}",                        "line 1, column 0: invalid type: map, expected a sequence"),
        ("[\n  7\n]",                 "line 2, column 3: invalid type: integer `7`, expected a feature, an object with location and name"),
        ("[\n  {\"name\": \"\"}\n]",  "line 2, column 14: missing field `location`"),
        ("[\n  {\"location\": 3}]",   "line 2, column 16: invalid type: integer `3`, expected a location, an object with latitude and longitude"),
        ("[\n  {\"location\": {\"latitude\": 1}}]", "line 2, column 30: missing field `longitude`"),
        ("[{}]\n\n x",                "line 1, column 3: missing field `location`"),
        ("[]\n\n x",                  "line 3, column 2: trailing characters"),
        (&south,                      "line 2, column 38: invalid value: integer `-900000001`, expected degrees times ten million, a whole number from -900000000 to 900000000"),
        (&east,                       "line 2, column 54: invalid value: integer `1800000001`, expected degrees times ten million, a whole number from -1800000000 to 1800000000"),
        (&huge,                       "line 2, column 48: invalid value: integer `18446744073709551615`, expected degrees times ten million, a whole number from -900000000 to 900000000"),
        (&float,                      "line 2, column 32: invalid type: floating point `40.9`, expected degrees times ten million, a whole number from -900000000 to 900000000"),
        (&text,                       "line 2, column 50: invalid type: string \"east\", expected degrees times ten million, a whole number from -1800000000 to 1800000000"),
    ];
    for (json, expected) in cases {
        let error = RouteDatabase::parse(json.as_bytes()).unwrap_err();
        assert_eq!(error.to_string(), *expected, "{json}");
    }
    let error = RouteDatabase::parse(b"[\"\xff\"]").unwrap_err();
    assert_eq!((error.line, error.column), (1, 3), "{error}");
}
