//! `hello.Hello`.

use barewire::tutorial::proto::hello::{Feature, Point, Rectangle, RouteNote, RouteSummary};

use crate::conversation::{Conversation, OK, call, client};
use crate::tokio;

const HERE: Point = Point {
    latitude: 39.5,
    longitude: -116.25,
};

#[tokio::test]
async fn every_place_is_beijing() {
    let (features, ended) =
        call::<Feature>(&client().await, "/hello.Hello/GetFeature", &[HERE]).await;
    let beijing = Feature {
        name: "北京".to_owned(),
        location: Some(HERE),
    };
    assert_eq!((features, ended), (vec![beijing], OK));
}

#[tokio::test]
async fn a_rectangle_has_ten_features_at_its_first_corner() {
    let rectangle = Rectangle {
        lo: Some(HERE),
        hi: None,
    };
    let (features, ended) =
        call::<Feature>(&client().await, "/hello.Hello/ListFeatures", &[rectangle]).await;
    let feature = Feature {
        name: "Beijing-Shanghai".to_owned(),
        location: Some(HERE),
    };
    assert_eq!((features, ended), (vec![feature; 10], OK));
}

#[tokio::test]
async fn the_route_is_summed_up_at_its_first_point_while_the_client_still_sends() {
    let mut route = Conversation::open(&client().await, "/hello.Hello/RecordRoute").await;
    route.say(&HERE);
    // Nothing ends the request, and the whole answer comes.
    let (summaries, ended) = route.hear_all::<RouteSummary>().await;
    let summary = RouteSummary {
        point_count: 1,
        feature_count: 2,
        distance: 3,
        elapsed_time: 4,
    };
    assert_eq!((summaries, ended), (vec![summary], OK));
}

#[tokio::test]
async fn a_route_without_points_is_all_zero() {
    let none: &[Point] = &[];
    let (summaries, ended) =
        call::<RouteSummary>(&client().await, "/hello.Hello/RecordRoute", none).await;
    assert_eq!((summaries, ended), (vec![RouteSummary::default()], OK));
}

#[tokio::test]
async fn each_note_comes_back_at_once() {
    let mut chat = Conversation::open(&client().await, "/hello.Hello/RouteChat").await;
    for message in ["one", "two", "one"] {
        let note = RouteNote {
            location: Some(HERE),
            message: message.to_owned(),
        };
        chat.say(&note);
        assert_eq!(chat.hear().await, Some(note));
    }
    chat.end();
    assert_eq!(chat.hear_all::<RouteNote>().await, (Vec::new(), OK));
}
