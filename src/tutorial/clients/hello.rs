//! The client of `hello.Hello`, which prints messages as protobuf shows them:
//!
//! ```text
//! name: "北京"
//! location {
//!   latitude: 39.92
//!   longitude: 116.46
//! }
//! ```
//!
//! Fields of the value that proto3 leaves out, zero or empty, are left out here as well, and a line
//! without text follows each message.

use std::io::Write;

use super::WalkError;
use crate::tutorial::proto::hello::{
    Feature, HelloClient, Point, Rectangle, RouteNote, RouteSummary,
};
use crate::{Channel, Outbound, Status};

/// Asks for a place and for those of a rectangle, reports a route, and hears its notes again.
///
/// # Errors
///
/// A call that ended badly, or an `out` that takes no more.
///
/// # Cancel safety
///
/// Dropping it cancels the call.
pub async fn hello(channel: Channel, out: &mut impl Write) -> Result<(), WalkError> {
    let client = HelloClient::new(channel);
    let feature = client.get_feature(point(39.92, 116.46)).await?.message;
    writeln!(out, "{}", show_feature(&feature))?;

    let rectangle = Rectangle {
        lo: Some(point(1.0, 2.0)),
        hi: Some(point(3.0, 4.0)),
    };
    let mut features = client.list_features(rectangle).await?;
    while let Some(feature) = features.next().await? {
        writeln!(out, "{}", show_feature(&feature))?;
    }

    let (mut points, summary) = client.record_route(()).await?;
    // This server answers at the first point, and takes no more then. That is no fault: how a call
    // ends, the response says.
    let _ = send_route(&mut points).await;
    let summary = summary.single().await?.message;
    writeln!(out, "{}", show_summary(&summary))?;

    let (mut notes, mut heard) = client.route_chat(()).await?;
    for _ in 0..10 {
        let note = RouteNote {
            location: Some(point(1.0, 2.0)),
            message: "good job!".to_owned(),
        };
        notes.send(note).await?;
    }
    notes.finish()?;
    while let Some(note) = heard.next().await? {
        writeln!(out, "{}", show_note(&note))?;
    }
    Ok(())
}

async fn send_route(points: &mut Outbound<Point>) -> Result<(), Status> {
    for _ in 0..10 {
        points.send(point(1.0, 2.0)).await?;
    }
    points.finish()
}

fn point(latitude: f32, longitude: f32) -> Point {
    Point {
        latitude,
        longitude,
    }
}

fn show_feature(feature: &Feature) -> String {
    show_text("name", &feature.name) + &show_location(feature.location)
}

fn show_note(note: &RouteNote) -> String {
    show_location(note.location) + &show_text("message", &note.message)
}

fn show_summary(summary: &RouteSummary) -> String {
    [
        ("point_count", summary.point_count),
        ("feature_count", summary.feature_count),
        ("distance", summary.distance),
        ("elapsed_time", summary.elapsed_time),
    ]
    .into_iter()
    .filter(|(_, number)| *number != 0)
    .map(|(name, number)| format!("{name}: {number}\n"))
    .collect()
}

fn show_location(location: Option<Point>) -> String {
    let Some(point) = location else {
        return String::new();
    };
    let mut text = "location {\n".to_owned();
    for (name, degrees) in [("latitude", point.latitude), ("longitude", point.longitude)] {
        if degrees != 0.0 {
            text += &format!("  {name}: {degrees}\n");
        }
    }
    text + "}\n"
}

fn show_text(name: &str, text: &str) -> String {
    if text.is_empty() {
        return String::new();
    }
    let mut line = format!("{name}: \"");
    for letter in text.chars() {
        match letter {
            '"' | '\'' | '\\' | '\n' | '\r' | '\t' => line.extend(letter.escape_default()),
            _ if letter.is_ascii_control() => line += &format!("\\{:03o}", u32::from(letter)),
            _ => line.push(letter),
        }
    }
    line + "\"\n"
}
