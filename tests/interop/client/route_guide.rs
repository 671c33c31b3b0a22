//! `routeguide.RouteGuide`, with the places of `features.json`.

use barewire::Channel;
use barewire::tutorial::proto::routeguide::{
    Point, Rectangle, RouteGuideClient, RouteNote, RouteSummary,
};

use super::Case;
use super::line::Line;

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    cases.extend(Case::on_each(Line::ALL, get_feature));
    cases.extend(Case::on_each(Line::ALL, list_features));
    cases.extend(Case::on_each(Line::ALL, record_route));
    cases.extend(Case::on_each(Line::ALL, route_chat));
    cases
}

const VALLEY: Point = point(409_146_138, -746_188_906);
const BERLIN: Point = point(525_200_066, 134_049_540);
const NOWHERE: Point = point(1, 1);

const fn point(latitude: i32, longitude: i32) -> Point {
    Point {
        latitude,
        longitude,
    }
}

async fn get_feature(channel: Channel) {
    let guide = RouteGuideClient::new(channel);
    for (place, name) in [
        (VALLEY, "a valley in New Jersey"),
        (BERLIN, "Berlin"),
        (NOWHERE, ""),
    ] {
        let feature = guide.get_feature(place).await.unwrap().message;
        assert_eq!(
            (feature.name.as_str(), feature.location),
            (name, Some(place))
        );
    }
}

async fn list_features(channel: Channel) {
    let guide = RouteGuideClient::new(channel);
    let rectangle = Rectangle {
        lo: Some(point(200_000_000, 100_000_000)),
        hi: Some(point(100_000_000, 200_000_000)),
    };
    let mut features = guide.list_features(rectangle).await.unwrap();
    let mut names = Vec::new();
    while let Some(feature) = features.next().await.unwrap() {
        names.push(feature.name);
    }
    let wanted = [
        "south-west corner",
        "",
        "north-east corner",
        "inside",
        "north-west corner",
    ];
    assert_eq!(names, wanted);
}

async fn record_route(channel: Channel) {
    let guide = RouteGuideClient::new(channel);
    let (mut points, summary) = guide.record_route(()).await.unwrap();
    for place in [VALLEY, NOWHERE, BERLIN, VALLEY] {
        points.send(place).await.unwrap();
    }
    points.finish().unwrap();
    let summary = summary.single().await.unwrap().message;
    let wanted = RouteSummary {
        point_count: 4,
        feature_count: 3,
        distance: 21_100_479, // 21,100,479.65 m
        elapsed_time: summary.elapsed_time,
    };
    assert_eq!(summary, wanted);
}

async fn route_chat(channel: Channel) {
    let note = |place, message: &str| RouteNote {
        location: Some(place),
        message: message.to_owned(),
    };
    let guide = RouteGuideClient::new(channel);
    let (mut notes, mut heard) = guide.route_chat(()).await.unwrap();
    notes.send(note(VALLEY, "first")).await.unwrap();
    notes.send(note(BERLIN, "elsewhere")).await.unwrap();
    notes.send(note(VALLEY, "second")).await.unwrap();
    assert_eq!(heard.next().await.unwrap(), Some(note(VALLEY, "first")));
    notes.send(note(VALLEY, "third")).await.unwrap();
    assert_eq!(heard.next().await.unwrap(), Some(note(VALLEY, "first")));
    assert_eq!(heard.next().await.unwrap(), Some(note(VALLEY, "second")));
    notes.finish().unwrap();
    assert_eq!(heard.next().await.unwrap(), None);
}
