//! `hello.Hello`, whose server answers a stream before it has ended.

use barewire::Channel;
use barewire::tutorial::proto::hello::{HelloClient, Point, Rectangle, RouteNote, RouteSummary};

use super::Case;
use super::line::Line;

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    cases.extend(Case::on_each(Line::TO_THREADS, get_feature));
    cases.extend(Case::on_each(Line::TO_THREADS, list_features));
    cases.extend(Case::on_each(
        Line::TO_THREADS,
        record_route_is_answered_while_we_send,
    ));
    cases.extend(Case::on_each(&[Line::Plain], record_route_of_nothing));
    cases.extend(Case::on_each(
        &[Line::Plain],
        record_route_ends_a_client_that_never_pauses,
    ));
    cases.extend(Case::on_each(Line::TO_THREADS, route_chat));
    cases
}

const PLACE: Point = Point {
    latitude: 39.9,
    longitude: 116.4,
};
const SUMMARY: RouteSummary = RouteSummary {
    point_count: 1,
    feature_count: 2,
    distance: 3,
    elapsed_time: 4,
};

async fn get_feature(channel: Channel) {
    let feature = HelloClient::new(channel)
        .get_feature(PLACE)
        .await
        .unwrap()
        .message;
    assert_eq!(
        (feature.name.as_str(), feature.location),
        ("北京", Some(PLACE))
    );
}

async fn list_features(channel: Channel) {
    let rectangle = Rectangle {
        lo: Some(PLACE),
        hi: None,
    };
    let mut features = HelloClient::new(channel)
        .list_features(rectangle)
        .await
        .unwrap();
    for _ in 0..10 {
        let feature = features.next().await.unwrap().expect("there are ten");
        assert_eq!(feature.name, "Beijing-Shanghai");
        assert_eq!(feature.location, Some(PLACE));
    }
    assert_eq!(features.next().await.unwrap(), None);
}

async fn record_route_is_answered_while_we_send(channel: Channel) {
    let (mut points, summary) = HelloClient::new(channel).record_route(()).await.unwrap();
    points.send(PLACE).await.unwrap();
    // The stream of points is still open.
    assert_eq!(summary.single().await.unwrap().message, SUMMARY);
}

async fn record_route_of_nothing(channel: Channel) {
    let (mut points, summary) = HelloClient::new(channel).record_route(()).await.unwrap();
    points.finish().unwrap();
    let summary = summary.single().await.unwrap();
    assert_eq!(summary.message, RouteSummary::default());
}

async fn record_route_ends_a_client_that_never_pauses(channel: Channel) {
    let (mut points, summary) = HelloClient::new(channel).record_route(()).await.unwrap();
    let sender = tokio::spawn(async move { while points.send(PLACE).await.is_ok() {} });
    assert_eq!(summary.single().await.unwrap().message, SUMMARY);
    // Nobody hears it any more, and it is told so.
    sender.await.unwrap();
}

async fn route_chat(channel: Channel) {
    let (mut notes, mut heard) = HelloClient::new(channel).route_chat(()).await.unwrap();
    for message in ["one", "two", "三"] {
        let note = RouteNote {
            location: Some(PLACE),
            message: message.to_owned(),
        };
        notes.send(note.clone()).await.unwrap();
        assert_eq!(heard.next().await.unwrap(), Some(note));
    }
    notes.finish().unwrap();
    assert_eq!(heard.next().await.unwrap(), None);
}
