//! `routeguide.RouteGuide`.

use std::time::Duration;

use barewire::Code;
use barewire::tutorial::proto::routeguide::{Feature, Point, Rectangle, RouteNote, RouteSummary};

use crate::conversation::{Conversation, OK, call, client};
use crate::tokio;

const fn point(latitude: i32, longitude: i32) -> Point {
    Point {
        latitude,
        longitude,
    }
}

fn rectangle(lo: (i32, i32), hi: (i32, i32)) -> Rectangle {
    Rectangle {
        lo: Some(point(lo.0, lo.1)),
        hi: Some(point(hi.0, hi.1)),
    }
}

#[tokio::test]
#[rustfmt::skip]
async fn a_feature_is_known_at_its_very_point() {
    let client = client().await;
    let cases = [
        (point(10, 10), "south-west"),
        (point(10, 11), ""),
        (point(20, 20), ""),            // known, without a name
        (point(20, 21), "middle"),      // the first of two
        (point(0, 0),   ""),
    ];
    for (location, name) in cases {
        let (features, ended) = call::<Feature>(&client, "/routeguide.RouteGuide/GetFeature", &[location]).await;
        let feature = Feature { name: name.to_owned(), location: Some(location) };
        assert_eq!((features, ended), (vec![feature], OK), "{location:?}");
    }
}

#[tokio::test]
#[rustfmt::skip]
async fn a_rectangle_has_its_edges_and_any_corners_in_the_order_of_the_database() {
    let client = client().await;
    let all = ["south-west", "north-east", "", "middle", "in the shade of middle", ""];
    let cases: &[(Rectangle, &[&str])] = &[
        (rectangle((10, 10), (30, 30)),      &all[..5]),
        (rectangle((30, 30), (10, 10)),      &all[..5]),
        (rectangle((30, 10), (10, 30)),      &all[..5]),
        (rectangle((-90, -90), (90, 90)),    &all),
        (rectangle((11, 10), (30, 29)),      &all[2..5]),
        (rectangle((20, 21), (20, 21)),      &all[3..5]),    // a point is a rectangle
        (rectangle((50, 50), (60, 60)),      &[]),
        (Rectangle { lo: None, hi: Some(point(-5, 5)) }, &[""]),  // a corner that is left out is zero
    ];
    for (rectangle, names) in cases {
        let (features, ended) = call::<Feature>(&client, "/routeguide.RouteGuide/ListFeatures", &[*rectangle]).await;
        let found: Vec<_> = features.iter().map(|feature| feature.name.as_str()).collect();
        assert_eq!(found, *names, "{rectangle:?}");
        assert_eq!(ended, OK);
    }
}

#[tokio::test]
#[rustfmt::skip]
async fn a_route_is_summed_up_in_whole_metres() {
    let client = client().await;
    let quarter_metres = 10_007_543; // 6,371,000 m × π/2 = 10,007,543.398
    let cases: &[(&[Point], RouteSummary)] = &[
        // points                                                     points, features, metres
        (&[],                                                          summary(0, 0, 0)),
        (&[point(10, 10)],                                             summary(1, 1, 0)),
        (&[point(10, 10), point(20, 20), point(10, 10), point(1, 1)],  summary(4, 3, 0)),  // nameless, and twice the same
        (&[point(0, 0), point(900_000_000, 0)],                        summary(2, 0, quarter_metres)),
        (&[point(0, 0), point(0, 900_000_000)],                        summary(2, 0, quarter_metres)),
        (&[point(0, 0), point(0, 1_800_000_000)],                      summary(2, 0, 20_015_086)),  // 20,015,086.796
        (&[point(0, 1_800_000_000), point(0, -1_800_000_000)],         summary(2, 0, 0)),  // the same place
        (&[point(407_838_351, -746_143_763), point(408_122_808, -743_999_179)],
                                                                       summary(2, 0, 18_327)),
        (&[point(0, 0), point(90, 0), point(0, 0)],                    summary(3, 0, 2)),  // 2.0015: cut at the end, not on the way
        (&[point(i32::MIN, i32::MAX), point(i32::MAX, i32::MIN)],      summary(2, 0, 10_571_461)),  // not on earth, yet no panic
    ];
    for (points, expected) in cases {
        let (summaries, ended) = call::<RouteSummary>(&client, "/routeguide.RouteGuide/RecordRoute", points).await;
        assert_eq!((summaries, ended), (vec![*expected], OK), "{points:?}");
    }
}

fn summary(point_count: i32, feature_count: i32, distance: i32) -> RouteSummary {
    RouteSummary {
        point_count,
        feature_count,
        distance,
        elapsed_time: 0,
    }
}

#[tokio::test(start_paused = true)]
async fn a_route_takes_whole_seconds() {
    let mut route = Conversation::open(&client().await, "/routeguide.RouteGuide/RecordRoute").await;
    route.say(&point(1, 1));
    // Time stands still until everybody waits, so the server has seen the point by then.
    tokio::time::sleep(Duration::from_millis(2_900)).await;
    route.end();
    let (summaries, _) = route.hear_all::<RouteSummary>().await;
    assert_eq!(summaries[0].elapsed_time, 2);
}

fn note(latitude: i32, message: &str) -> RouteNote {
    RouteNote {
        location: Some(point(latitude, 7)),
        message: message.to_owned(),
    }
}

#[tokio::test]
async fn a_note_is_answered_with_those_before_it_at_its_place() {
    let client = client().await;
    // A second call knows nothing of the first.
    for _ in 0..2 {
        let mut chat = Conversation::open(&client, "/routeguide.RouteGuide/RouteChat").await;
        chat.say(&note(1, "first"));
        chat.say(&note(2, "elsewhere"));
        chat.say(&note(1, "second"));
        assert_eq!(chat.hear().await, Some(note(1, "first")));
        chat.say(&note(1, "third"));
        assert_eq!(chat.hear().await, Some(note(1, "first")));
        assert_eq!(chat.hear().await, Some(note(1, "second")));
        chat.say(&note(2, "here again"));
        assert_eq!(chat.hear().await, Some(note(2, "elsewhere")));
        chat.end();
        assert_eq!(chat.hear_all::<RouteNote>().await, (Vec::new(), OK));
    }
}

#[tokio::test]
async fn a_note_without_a_place_is_at_zero() {
    let mut chat = Conversation::open(&client().await, "/routeguide.RouteGuide/RouteChat").await;
    let nowhere = RouteNote {
        location: None,
        message: "nowhere".to_owned(),
    };
    chat.say(&nowhere);
    chat.say(&RouteNote {
        location: Some(point(0, 0)),
        message: "zero".to_owned(),
    });
    assert_eq!(chat.hear().await, Some(nowhere));
}

#[tokio::test]
async fn the_notes_of_a_call_have_a_limit() {
    let mut chat = Conversation::open(&client().await, "/routeguide.RouteGuide/RouteChat").await;
    let text = "x".repeat(3 * 1024 * 1024);
    for place in 0..6 {
        chat.say(&note(place, &text));
    }
    let (replies, (code, text)) = chat.hear_all::<RouteNote>().await;
    assert_eq!((replies.len(), code), (0, Some(Code::ResourceExhausted)));
    assert_eq!(
        text,
        "the notes of this call take more than 16 MiB; begin another call"
    );
}
