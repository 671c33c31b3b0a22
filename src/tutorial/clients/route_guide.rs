//! The client of `routeguide.RouteGuide`: each of the four kinds of call.

use std::io::Write;

use super::WalkError;
use super::chance::random;
use crate::Channel;
use crate::tutorial::proto::routeguide::{Feature, Point, Rectangle, RouteGuideClient, RouteNote};

/// Asks for two places, lists those of a rectangle, visits some of them, and leaves notes.
///
/// # Errors
///
/// A call that ended badly, or an `out` that takes no more.
///
/// # Cancel safety
///
/// Dropping it cancels the call.
pub async fn route_guide(channel: Channel, out: &mut impl Write) -> Result<(), WalkError> {
    let guide = RouteGuideClient::new(channel);
    writeln!(out, "-------------- GetFeature --------------")?;
    get_feature(&guide, out, point(409_146_138, -746_188_906)).await?;
    get_feature(&guide, out, point(0, 0)).await?;
    writeln!(out, "-------------- ListFeatures --------------")?;
    let features = list_features(&guide, out).await?;
    writeln!(out, "-------------- RecordRoute --------------")?;
    record_route(&guide, out, &features).await?;
    writeln!(out, "-------------- RouteChat --------------")?;
    route_chat(&guide, out).await
}

async fn get_feature(
    guide: &RouteGuideClient,
    out: &mut impl Write,
    point: Point,
) -> Result<(), WalkError> {
    let feature = guide.get_feature(point).await?.message;
    let place = show(feature.location);
    if feature.name.is_empty() {
        writeln!(out, "Found no feature at {place}")?;
    } else {
        writeln!(out, "Feature called {} at {place}", quote(&feature.name))?;
    }
    Ok(())
}

async fn list_features(
    guide: &RouteGuideClient,
    out: &mut impl Write,
) -> Result<Vec<Feature>, WalkError> {
    writeln!(out, "Looking for features between 40, -75 and 42, -73")?;
    let rectangle = Rectangle {
        lo: Some(point(400_000_000, -750_000_000)),
        hi: Some(point(420_000_000, -730_000_000)),
    };
    let mut found = Vec::new();
    let mut features = guide.list_features(rectangle).await?;
    while let Some(feature) = features.next().await? {
        let place = show(feature.location);
        writeln!(out, "Feature called {} at {place}", quote(&feature.name))?;
        found.push(feature);
    }
    Ok(found)
}

/// Visits ten of the features. The tutorial's client takes them from a copy of the server's database;
/// this one has just been told of them.
async fn record_route(
    guide: &RouteGuideClient,
    out: &mut impl Write,
    features: &[Feature],
) -> Result<(), WalkError> {
    let (mut points, summary) = guide.record_route(()).await?;
    for _ in 0..10 {
        let index = usize::from(random()) % features.len().max(1);
        let Some(feature) = features.get(index) else {
            break;
        };
        writeln!(out, "Visiting point {}", show(feature.location))?;
        points.send(feature.location.unwrap_or_default()).await?;
    }
    points.finish()?;

    let summary = summary.single().await?.message;
    // The tutorial's client ends these lines with a space too.
    writeln!(out, "Finished trip with {} points ", summary.point_count)?;
    writeln!(out, "Passed {} features ", summary.feature_count)?;
    writeln!(out, "Travelled {} meters ", summary.distance)?;
    writeln!(out, "It took {} seconds ", summary.elapsed_time)?;
    Ok(())
}

async fn route_chat(guide: &RouteGuideClient, out: &mut impl Write) -> Result<(), WalkError> {
    let (mut notes, mut heard) = guide.route_chat(()).await?;
    let places = [(0, 0), (0, 1), (1, 0), (0, 0), (1, 0)];
    let numbers = ["First", "Second", "Third", "Fourth", "Fifth"];
    for ((latitude, longitude), number) in places.into_iter().zip(numbers) {
        let note = RouteNote {
            location: Some(point(latitude, longitude)),
            message: format!("{number} message"),
        };
        writeln!(out, "Sending {} at {}", note.message, show(note.location))?;
        notes.send(note).await?;
    }
    notes.finish()?;
    while let Some(RouteNote { location, message }) = heard.next().await? {
        writeln!(out, "Received message {message} at {}", show(location))?;
    }
    Ok(())
}

fn point(latitude: i32, longitude: i32) -> Point {
    Point {
        latitude,
        longitude,
    }
}

fn show(point: Option<Point>) -> String {
    let Point {
        latitude,
        longitude,
    } = point.unwrap_or_default();
    format!("latitude: {latitude}, longitude: {longitude}")
}

/// The text as Python shows it: in single quotes, or in double ones if there are only single ones in
/// it.
fn quote(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') {
        '"'
    } else {
        '\''
    };
    let mut quoted = String::from(quote);
    for letter in text.chars() {
        match letter {
            '\\' => quoted.push_str("\\\\"),
            _ if letter == quote => quoted.extend(['\\', letter]),
            _ if letter.is_control() => quoted.extend(letter.escape_default()),
            _ => quoted.push(letter),
        }
    }
    quoted.push(quote);
    quoted
}
