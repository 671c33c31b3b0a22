//! `routeguide.RouteGuide`: a service with each of the four kinds of call.

use std::collections::HashMap;

use tokio::time::Instant;

use super::proto::routeguide::{Feature, Point, Rectangle, RouteGuide, RouteNote, RouteSummary};
use super::route_database::RouteDatabase;
use crate::{Inbound, Replies, Request, Response, Status};

/// Knows the places of its database, as `routeguide.RouteGuide`.
#[derive(Clone, Debug, Default)]
pub struct Guide {
    database: RouteDatabase,
}

impl Guide {
    /// A guide to the places of `database`.
    pub fn new(database: RouteDatabase) -> Self {
        Self { database }
    }
}

impl RouteGuide for Guide {
    async fn get_feature(&self, request: Request<Point>) -> Result<Response<Feature>, Status> {
        let point = request.message;
        let known = self.database.feature_at(&point).cloned();
        let feature = known.unwrap_or_else(|| Feature {
            name: String::new(),
            location: Some(point),
        });
        Ok(feature.into())
    }

    async fn list_features(
        &self,
        request: Request<Rectangle>,
        mut replies: Replies<Feature>,
    ) -> Result<(), Status> {
        for feature in self.database.features() {
            if is_inside(&request.message, feature) {
                replies.send(feature.clone()).await?;
            }
        }
        Ok(())
    }

    async fn record_route(
        &self,
        mut requests: Request<Inbound<Point>>,
    ) -> Result<Response<RouteSummary>, Status> {
        let mut route = Route::begin();
        while let Some(point) = requests.next().await? {
            route.visit(point, &self.database);
        }
        Ok(route.summary().into())
    }

    async fn route_chat(
        &self,
        mut requests: Request<Inbound<RouteNote>>,
        mut replies: Replies<RouteNote>,
    ) -> Result<(), Status> {
        let mut notes = Notes::default();
        while let Some(note) = requests.next().await? {
            for earlier in notes.at(&note) {
                replies.send(earlier.clone()).await?;
            }
            notes.keep(note)?;
        }
        Ok(())
    }
}

/// Whether a feature lies in a rectangle or on its edge. The corners may come in any order.
fn is_inside(rectangle: &Rectangle, feature: &Feature) -> bool {
    let (lo, hi) = (
        rectangle.lo.unwrap_or_default(),
        rectangle.hi.unwrap_or_default(),
    );
    let point = feature.location.unwrap_or_default();
    is_between(point.latitude, lo.latitude, hi.latitude)
        && is_between(point.longitude, lo.longitude, hi.longitude)
}

fn is_between(degrees: i32, one: i32, other: i32) -> bool {
    (one.min(other)..=one.max(other)).contains(&degrees)
}

/// A route, as far as it has come.
struct Route {
    began_at: Instant,
    last: Option<Point>,
    point_count: i32,
    feature_count: i32,
    metres: f64,
}

impl Route {
    fn begin() -> Self {
        Self {
            began_at: Instant::now(),
            last: None,
            point_count: 0,
            feature_count: 0,
            metres: 0.0,
        }
    }

    fn visit(&mut self, point: Point, database: &RouteDatabase) {
        self.point_count = self.point_count.saturating_add(1);
        if database.feature_at(&point).is_some() {
            self.feature_count = self.feature_count.saturating_add(1);
        }
        if let Some(last) = self.last.replace(point) {
            self.metres += distance(last, point);
        }
    }

    fn summary(&self) -> RouteSummary {
        let seconds = self.began_at.elapsed().as_secs();
        RouteSummary {
            point_count: self.point_count,
            feature_count: self.feature_count,
            distance: whole(self.metres),
            elapsed_time: i32::try_from(seconds).unwrap_or(i32::MAX),
        }
    }
}

/// The way from one point to another in metres, on a sphere, by the haversine formula.
fn distance(from: Point, to: Point) -> f64 {
    let (from_latitude, to_latitude) = (radians(from.latitude), radians(to.latitude));
    let half_north = (to_latitude - from_latitude) / 2.0;
    let half_east = (radians(to.longitude) - radians(from.longitude)) / 2.0;
    let haversine = half_north.sin().powi(2)
        + from_latitude.cos() * to_latitude.cos() * half_east.sin().powi(2);
    // Rounding may lead out of what has a root, and so do latitudes that are none.
    let haversine = haversine.clamp(0.0, 1.0);
    EARTH_RADIUS_METRES * 2.0 * haversine.sqrt().atan2((1.0 - haversine).sqrt())
}

const EARTH_RADIUS_METRES: f64 = 6_371_000.0;

/// Of degrees times ten million.
fn radians(degrees: i32) -> f64 {
    (f64::from(degrees) / 1e7).to_radians()
}

#[expect(
    clippy::as_conversions,
    reason = "floats have no other way to integers; it cuts off the fraction and stays in range"
)]
fn whole(metres: f64) -> i32 {
    metres as i32
}

/// The notes of one call, by place.
#[derive(Default)]
struct Notes {
    by_place: HashMap<Point, Vec<RouteNote>>,
    bytes: usize,
}

impl Notes {
    /// The notes kept at the place of `note`, in their order. A note without a place is at the point
    /// whose degrees are zero, as proto3 has it.
    fn at(&self, note: &RouteNote) -> &[RouteNote] {
        let place = note.location.unwrap_or_default();
        self.by_place.get(&place).map_or(&[], Vec::as_slice)
    }

    /// Keeps one more. A call has no end that we know of, so there is a limit to what it leaves here.
    fn keep(&mut self, note: RouteNote) -> Result<(), Status> {
        self.bytes += note.message.len() + NOTE_BYTES;
        if self.bytes > NOTES_LIMIT_BYTES {
            return Err(Status::resource_exhausted(format!(
                "the notes of this call take more than {} MiB; begin another call",
                NOTES_LIMIT_BYTES / 1024 / 1024
            )));
        }
        let place = note.location.unwrap_or_default();
        self.by_place.entry(place).or_default().push(note);
        Ok(())
    }
}

/// What a note takes besides its text, about.
const NOTE_BYTES: usize = 128;
/// Room for more than 100,000 short notes, or four of the largest messages.
const NOTES_LIMIT_BYTES: usize = 16 * 1024 * 1024;
