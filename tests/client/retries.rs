//! Retries of whole calls: P166–P168, P171–P180, P284.

use std::time::Duration;

use barewire::Code::{self, DeadlineExceeded, Internal, ResourceExhausted, Unavailable};
use barewire::{AttemptPolicy, ChannelConfig, Inbound, Outbound, Request, RetryThrottling, Status};
use tokio::time::Instant;

use crate::scripted::{
    End, Fate, Fates, Kind, Script, Step, all, answer, channel, echo, fail, fail_after_headers,
    goaway, greet, hedge, length_of, ms, path, push_back, pushing_back, retry, up_to_headers,
    with_policy,
};
use crate::tokio;

const REFUSED: Fate = Fate::Reset(h2::Reason::REFUSED_STREAM);

/// No policy: only what needs none.
fn plain() -> ChannelConfig {
    ChannelConfig::default()
}

/// A policy, and tokens: `max_tokens`, and a tenth for each success.
fn throttled(attempts: AttemptPolicy, max_tokens: u32) -> ChannelConfig {
    let mut config = with_policy(attempts);
    config.service_config.as_mut().unwrap().retry_throttling = Some(RetryThrottling {
        max_tokens,
        token_ratio: 0.1,
    });
    config
}

#[tokio::test(start_paused = true)]
#[rustfmt::skip]
async fn p166_p167_a_refused_stream_is_opened_once_more_and_not_counted() {
    let cases: &[(&[Fate], ChannelConfig, Result<(), Status>, &[Option<&str>])] = &[
        // fates                        policy                   ends                                   previous attempts
        (&[REFUSED],                    plain(),                 Ok(()),                                &[None, None]),
        (&[REFUSED; 2],                 plain(),                 Err(Status::unavailable("")),          &[None, None]),
        (&[REFUSED],                    throttled(retry(2), 2),  Ok(()),                                &[None, None]),
        (&[REFUSED; 2],                 throttled(retry(2), 4),  Ok(()),                                &[None, None, Some("1")]),  // the second is the policy's
        (&[REFUSED; 3],                 with_policy(retry(2)),   Err(Status::unavailable("")),          &[None, None, Some("1")]),
    ];
    for kind in Kind::ALL {
        for (script, config, ends, previous) in cases {
            let fates = Fates::new(script);
            let channel = fates.channel(config.clone());
            let found = kind.call(&channel, "hello").await;
            match ends {
                Ok(()) => assert_eq!(found.unwrap(), ["hello"], "{kind:?} {script:?}"),
                Err(expected) => {
                    let found = found.unwrap_err();
                    assert_eq!(found.code, expected.code, "{kind:?} {script:?} {found}");
                    assert!(found.unprocessed, "{kind:?} {script:?}: nobody has seen it");
                }
            }
            let previous: Vec<_> = previous.iter().map(|text| text.map(str::to_owned)).collect();
            assert_eq!(fates.previous(), previous, "{kind:?} {script:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn p155_p166_a_stream_above_the_last_one_of_a_goaway_is_opened_elsewhere() {
    for kind in Kind::ALL {
        for (goaways, outcome) in [(1, true), (2, false)] {
            let script = Script::default();
            let service = script.clone();
            let channel = channel(plain(), move |number, io| {
                if number >= goaways {
                    return service.serve_io(io);
                }
                tokio::spawn(async move {
                    let (mut peer, stream) = up_to_headers(io, &[]).await;
                    peer.write(&goaway(stream.saturating_sub(2))).await;
                });
            });
            let found = kind.call(&channel, "hello").await;
            match outcome {
                true => assert_eq!(found.unwrap(), ["hello"], "{kind:?}"),
                false => {
                    let status = found.unwrap_err();
                    assert_eq!(
                        (status.code, status.unprocessed),
                        (Unavailable, true),
                        "{status}"
                    );
                }
            }
            assert_eq!(
                script.previous(),
                vec![""; usize::from(outcome)],
                "{kind:?}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn p166_p262_a_call_that_never_left_looks_for_connections_as_often_as_needed() {
    for kind in Kind::ALL {
        let script = Script::default();
        let service = script.clone();
        // Patient, since a server that turns all connections away is as good as none.
        let config = ChannelConfig {
            wait_for_ready: true,
            ..plain()
        };
        let channel = channel(config, move |number, io| {
            if number == 20 {
                return service.serve_io(io);
            }
            // Takes no streams, and then goes.
            tokio::spawn(async move {
                let mut peer = greet(io, &[0, 3, 0, 0, 0, 0]).await;
                tokio::time::sleep(ms(1_500)).await;
                peer.write(&goaway(0)).await;
                while peer.next_frame().await.is_some() {}
            });
        });
        assert_eq!(kind.call(&channel, "hello").await.unwrap(), ["hello"]);
        assert_eq!(script.previous(), [""]);
    }
}

#[tokio::test(start_paused = true)]
async fn p171_a_call_that_never_leaves_ends_at_its_deadline() {
    let config = ChannelConfig {
        wait_for_ready: true,
        ..plain()
    };
    let channel = channel(config, |_, io| {
        tokio::spawn(async move {
            let mut peer = greet(io, &[0, 3, 0, 0, 0, 0]).await;
            tokio::time::sleep(ms(1_500)).await;
            peer.write(&goaway(0)).await;
            while peer.next_frame().await.is_some() {}
        });
    });
    let start = Instant::now();
    let request = Request::new(String::new()).with_timeout(ms(10_000));
    let status = Kind::Unary.call_with(&channel, request).await.unwrap_err();
    assert_eq!(
        (status.code, status.unprocessed),
        (DeadlineExceeded, true),
        "{status}"
    );
    assert!((ms(10_000)..ms(10_010)).contains(&start.elapsed()));
}

#[tokio::test(start_paused = true)]
async fn p175_p284_a_connection_that_breaks_before_headers_is_the_policy_s() {
    for kind in Kind::ALL {
        for (config, attempts) in [(plain(), 1), (with_policy(retry(3)), 2)] {
            let fates = Fates::new(&[Fate::Cut]);
            let channel = fates.channel(config);
            let found = kind.call(&channel, "hello").await;
            assert_eq!(fates.count(), attempts, "{kind:?}");
            if attempts == 1 {
                let status = found.unwrap_err();
                assert_eq!(
                    (status.code, status.unprocessed),
                    (Unavailable, false),
                    "{status}"
                );
            } else {
                assert_eq!(found.unwrap(), ["hello"]);
                assert_eq!(fates.previous(), [None, Some("1".to_owned())]);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
#[rustfmt::skip]
async fn p175_p284_a_reset_stream_goes_by_its_code() {
    let cases = [
        // reset by                             attempts  ends
        (h2::Reason::REFUSED_STREAM,            2,        None),
        (h2::Reason::CANCEL,                    1,        Some(Code::Cancelled)),
        (h2::Reason::INTERNAL_ERROR,            1,        Some(Internal)),
        (h2::Reason::ENHANCE_YOUR_CALM,         1,        Some(ResourceExhausted)),
        (h2::Reason::NO_ERROR,                  1,        Some(Internal)),
    ];
    for kind in Kind::ALL {
        for (reason, attempts, code) in cases {
            for config in [plain(), with_policy(retry(5))] {
                let fates = Fates::new(&[Fate::Reset(reason)]);
                let channel = fates.channel(config);
                let found = kind.call(&channel, "hello").await;
                assert_eq!(found.map_err(|status| status.code).err(), code, "{kind:?} {reason}");
                assert_eq!(fates.count(), attempts, "{kind:?} {reason}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
#[rustfmt::skip]
async fn p169_p172_p175_p179_attempts_go_on_until_one_counts() {
    let after_message = || vec![Step::TakeAll, Step::Say("one"), Step::Fail(Status::unavailable("half-way"))];
    let cases: &[(u32, Vec<Vec<Step>>, Result<&[&str], Code>, usize)] = &[
        // at most  script                                                     ends                    attempts
        (4,         vec![fail(Unavailable), fail(Unavailable), answer("yes")], Ok(&["yes"]),           3),
        (4,         vec![fail(Unavailable), fail(Internal), answer("yes")],    Err(Internal),          2),  // not listed
        (2,         vec![fail(Unavailable), fail(Unavailable), answer("yes")], Err(Unavailable),       2),
        (5,         vec![fail(Unavailable); 9],                                Err(Unavailable),       5),
        (100,       vec![fail(Unavailable); 9],                                Err(Unavailable),       5),  // the channel's limit
        (4,         vec![fail_after_headers(Unavailable), answer("yes")],      Err(Unavailable),       1),  // committed
        (4,         vec![after_message(), answer("yes")],                      Err(Unavailable),       1),
        (4,         vec![fail(Unavailable), fail_after_headers(Unavailable)],  Err(Unavailable),       2),
    ];
    for kind in Kind::ALL {
        for (max_attempts, entries, ends, attempts) in cases {
            let script = Script::new(entries.clone());
            let channel = script.channel(with_policy(retry(*max_attempts)));
            let found = kind.call(&channel, "hello").await;
            let expected = ends.map(<[&str]>::to_vec);
            let found = found.map_err(|status| status.code);
            assert_eq!(found.as_deref().map(|texts| texts.iter().map(String::as_str).collect()).map_err(|code| *code), expected, "{kind:?} {entries:?}");
            assert_eq!(script.count(), *attempts, "{kind:?} {entries:?}");
            assert!(script.seen().iter().all(|seen| seen.half_closed && seen.messages == ["hello"]));
            let previous: Vec<_> = (0..*attempts).map(|number| if number == 0 { String::new() } else { number.to_string() }).collect();
            assert_eq!(script.previous(), previous);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn p045_what_the_caller_says_of_attempts_before_does_not_count() {
    let script = Script::new([fail(Unavailable)]);
    let channel = script.channel(with_policy(retry(2)));
    let mut request = Request::new("hello".to_owned());
    request
        .metadata
        .insert("grpc-previous-rpc-attempts", "7")
        .unwrap();
    Kind::Unary.call_with(&channel, request).await.unwrap();
    assert_eq!(script.previous(), ["", "1"]);
}

#[tokio::test(start_paused = true)]
async fn p170_delays_grow_and_one_that_the_server_names_makes_them_begin_anew() {
    let script = Script::new([
        fail(Unavailable),
        fail(Unavailable),
        push_back(Unavailable, &["3000"]),
        fail(Unavailable),
    ]);
    let channel = script.channel(with_policy(retry(5)));
    Kind::Unary.call(&channel, "hello").await.unwrap();
    let gaps = script.gaps();
    let about =
        |milliseconds| ms(milliseconds).mul_f64(0.79)..ms(milliseconds).mul_f64(1.21) + ms(2);
    assert!(about(100).contains(&gaps[0]), "{gaps:?}");
    assert!(about(200).contains(&gaps[1]), "{gaps:?}");
    assert!((ms(3_000)..ms(3_002)).contains(&gaps[2]), "{gaps:?}");
    assert!(about(100).contains(&gaps[3]), "{gaps:?}");
}

#[tokio::test(start_paused = true)]
#[rustfmt::skip]
async fn p176_a_server_may_name_the_delay_or_forbid_the_retry() {
    let cases: &[(Code, &[&str], Option<u64>)] = &[
        (Unavailable, &["0"],          Some(0)),
        (Unavailable, &["100"],        Some(100)),
        (Unavailable, &["60000"],      Some(60_000)),   // longer than any delay of the policy
        (Unavailable, &["-1"],         None),
        (Unavailable, &["x"],          None),
        (Unavailable, &["+5"],         None),
        (Unavailable, &[""],           None),
        (Unavailable, &["5", "5"],     None),
        (Internal,    &["5"],          None),           // the code is not listed
    ];
    for kind in Kind::ALL {
        for (code, values, delay) in cases {
            let script = Script::new([push_back(*code, values)]);
            let channel = script.channel(with_policy(retry(2)));
            let found = kind.call(&channel, "hello").await;
            assert_eq!(found.is_ok(), delay.is_some(), "{kind:?} {values:?} {found:?}");
            if let Some(delay) = delay {
                let gap = script.gaps()[0];
                assert!((ms(*delay)..ms(*delay + 2)).contains(&gap), "{kind:?} {values:?} {gap:?}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
#[rustfmt::skip]
async fn p173_a_call_that_says_more_than_is_kept_is_not_tried_again() {
    let cases = [
        // messages of    so many bytes  limit       attempts
        (1,               900,           1_000,      2),
        (10,              90,            1_000,      2),
        (1,               1_100,         1_000,      1),
        (12,              100,           1_000,      1),
        (8,               32 * 1024,     256 * 1024, 2),     // the default
        (9,               32 * 1024,     256 * 1024, 1),
    ];
    for kind in Kind::ALL {
        for (count, size, limit, attempts) in cases {
            if count > 1 && kind != Kind::ClientStreaming && kind != Kind::Bidi {
                continue;
            }
            let text = "x".repeat(size - 9);
            assert!(length_of(&text) <= size);
            let script = Script::new([fail(Unavailable), answer("yes")]);
            let channel = script.channel(ChannelConfig {
                retry_buffer_per_call: limit,
                ..with_policy(retry(3))
            });
            let found = if count == 1 {
                kind.call(&channel, &text).await
            } else {
                let (mut out, back): (Outbound<String>, Inbound<String>) =
                    channel.bidi(path("Call"), ()).await.unwrap();
                for _ in 0..count {
                    out.send(text.clone()).await.unwrap();
                }
                out.finish().unwrap();
                all(back).await
            };
            let found = found.map_err(|status| status.code);
            let expected = if attempts == 1 { Err(Unavailable) } else { Ok(vec!["yes".to_owned()]) };
            assert_eq!(found, expected, "{kind:?} {count} {size}");
            assert_eq!(script.count(), attempts, "{kind:?} {count} {size}");
            assert_eq!(script.messages()[attempts - 1].len(), count);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn p173_calls_share_what_the_channel_keeps_and_give_it_back() {
    let text = "x".repeat(600);
    let config = ChannelConfig {
        retry_buffer_per_channel: 1_000,
        ..with_policy(retry(2))
    };
    let script = Script::new([vec![
        Step::TakeAll,
        Step::Gate,
        Step::Fail(Status::unavailable("")),
    ]]);
    let channel = script.channel(config);
    // One call holds more than half.
    let first = {
        let (channel, text) = (channel.clone(), text.clone());
        tokio::spawn(async move { Kind::Unary.call(&channel, &text).await })
    };
    script
        .wait_for("it is there", |seen| {
            seen.iter().any(|seen| seen.half_closed)
        })
        .await;
    script.then([fail(Unavailable)]);
    let second = Kind::Unary.call(&channel, &text).await;
    assert_eq!(
        second.unwrap_err().code,
        Unavailable,
        "there is no room for it"
    );
    assert_eq!(script.count(), 2);
    script.open_gate();
    assert_eq!(
        first.await.unwrap().unwrap(),
        std::slice::from_ref(&text),
        "it was there before"
    );

    // However a call ends, what it kept is free, also while somebody holds its halves.
    let mut held = Vec::new();
    for kind in Kind::ALL {
        for entries in [
            vec![fail(Unavailable)],
            vec![fail(Unavailable), fail(Unavailable)],
            vec![fail(Unavailable), fail(Internal)],
            vec![fail_after_headers(Unavailable)],
            vec![vec![Step::TakeAll, Step::Hang]],
        ] {
            script.then(entries);
            let request = Request::new(text.clone()).with_timeout(Duration::from_secs(10));
            if kind == Kind::Bidi {
                let request = request.map(drop);
                let (mut out, mut back): (Outbound<String>, Inbound<String>) =
                    channel.bidi(path("Call"), request).await.unwrap();
                out.send(text.clone()).await.unwrap();
                out.finish().unwrap();
                while let Ok(Some(_)) = back.next().await {}
                held.push((out, back));
            } else {
                let _ = kind.call_with(&channel, request).await;
            }
            // All is there for the next call.
            script.then([fail(Unavailable)]);
            Kind::Unary.call(&channel, &text).await.unwrap();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn p172_p173_a_call_whose_response_has_begun_keeps_nothing() {
    let text = "x".repeat(900);
    let script = Script::new([echo()]);
    let channel = script.channel(ChannelConfig {
        retry_buffer_per_channel: 1_000,
        ..with_policy(retry(2))
    });
    let (mut out, mut back): (Outbound<String>, Inbound<String>) =
        channel.bidi(path("Call"), ()).await.unwrap();
    out.send(text.clone()).await.unwrap();
    assert_eq!(back.next().await.unwrap().as_ref(), Some(&text));
    // The call goes on, and another one has all the room.
    script.then([fail(Unavailable)]);
    Kind::Unary.call(&channel, &text).await.unwrap();
    for _ in 0..10 {
        out.send(text.clone()).await.unwrap();
        script.then([fail(Unavailable)]);
        Kind::Unary.call(&channel, &text).await.unwrap();
    }
    out.finish().unwrap();
    assert_eq!(all(back).await.unwrap().len(), 10);
}

#[tokio::test(start_paused = true)]
async fn p174_all_that_was_said_is_said_again_in_order() {
    let unavailable = || Step::Fail(Status::unavailable("as the script says"));
    for half_closed in [false, true] {
        let script = Script::new([
            vec![Step::Take(2), unavailable()],
            vec![unavailable()],
            vec![Step::Take(3), unavailable()],
        ]);
        let channel = script.channel(with_policy(retry(5)));
        let (mut out, mut back): (Outbound<String>, Inbound<String>) =
            channel.bidi(path("Call"), ()).await.unwrap();
        for text in ["a", "b", "c"] {
            out.send(text.to_owned()).await.unwrap();
        }
        if half_closed {
            out.finish().unwrap();
        }
        for text in ["a", "b", "c"] {
            assert_eq!(back.next().await.unwrap().as_deref(), Some(text));
        }
        if !half_closed {
            out.send("d".to_owned()).await.unwrap();
            assert_eq!(back.next().await.unwrap().as_deref(), Some("d"));
            out.finish().unwrap();
        }
        assert_eq!(back.next().await.unwrap(), None);
        let messages = script.messages();
        assert_eq!(messages[0], ["a", "b"]);
        assert_eq!(messages[1], [""; 0]);
        assert_eq!(messages[2], ["a", "b", "c"]);
        assert_eq!(messages[3].len(), if half_closed { 3 } else { 4 });
        assert!(script.seen()[3].half_closed);
    }
}

#[tokio::test(start_paused = true)]
async fn p174_what_is_said_between_two_attempts_goes_with_the_next() {
    let script = Script::new([vec![Step::Take(1), Step::Fail(Status::unavailable(""))]]);
    let channel = script.channel(with_policy(retry(2)));
    let (mut out, back): (Outbound<String>, Inbound<String>) =
        channel.bidi(path("Call"), ()).await.unwrap();
    out.send("a".to_owned()).await.unwrap();
    let back = tokio::spawn(all(back));
    script
        .wait_for("it has failed", |seen| seen[0].end == End::Returned)
        .await;
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    // Nothing is open now.
    out.send("b".to_owned()).await.unwrap();
    out.send("c".to_owned()).await.unwrap();
    out.finish().unwrap();
    assert_eq!(script.count(), 1);
    assert_eq!(back.await.unwrap().unwrap(), ["a", "b", "c"]);
}

#[tokio::test(start_paused = true)]
async fn p177_p178_retries_stop_when_too_many_calls_fail() {
    let script = Script::new(vec![fail(Unavailable); 1_000]);
    let channel = script.channel(throttled(retry(2), 10));
    for _ in 0..20 {
        let status = Kind::Unary.call(&channel, "hello").await.unwrap_err();
        assert_eq!(status.code, Unavailable);
    }
    // Two calls of two attempts; the fifth failure stops the rest. First attempts always go out.
    assert_eq!(script.count(), 2 + 2 + 18);
}

#[tokio::test(start_paused = true)]
async fn p177_calls_that_succeed_bring_retries_back() {
    let script = Script::new([fail(Unavailable), fail(Unavailable)]);
    let channel = script.channel(throttled(retry(2), 3));
    // Two of three tokens are gone.
    Kind::Unary.call(&channel, "hello").await.unwrap_err();
    for (successes, attempts) in [(0, 1), (9, 1), (30, 2)] {
        for _ in 0..successes {
            Kind::Unary.call(&channel, "hello").await.unwrap();
        }
        let before = script.count();
        script.then([fail(Unavailable)]);
        let _ = Kind::Unary.call(&channel, "hello").await;
        assert_eq!(script.count() - before, attempts, "{successes}");
    }
}

#[tokio::test(start_paused = true)]
#[rustfmt::skip]
async fn p177_failures_that_count_take_a_token() {
    let after = |mut steps: Vec<Step>, status| {
        steps.push(Step::Fail(status));
        steps
    };
    let headers = || vec![Step::TakeAll, Step::Headers];
    let cases = [
        // a call's failure                                           costs a token
        (fail(Internal),                                              false),
        (fail(Unavailable),                                           true),
        (push_back(Unavailable, &["-1"]),                             true),
        (push_back(Internal, &["-1"]),                                true),
        (push_back(Internal, &["5"]),                                 false),
        // Nothing can be tried again, and the server is overloaded all the same.
        (fail_after_headers(Internal),                                false),
        (fail_after_headers(Unavailable),                             true),
        (after(answer("one"), Status::unavailable("")),               true),
        (after(headers(), pushing_back(Internal, &["-1"])),           true),
        (after(headers(), pushing_back(Internal, &["5"])),            false),
    ];
    for attempts in [retry(2), hedge(2, 60_000)] {
        for kind in Kind::ALL {
            for (steps, costs) in &cases {
                let script = Script::new([steps.clone()]);
                let channel = script.channel(throttled(attempts.clone(), 3));
                let _ = kind.call(&channel, "hello").await;
                // Of three tokens one may go, but not two.
                let before = script.count();
                script.then([fail(Unavailable)]);
                let _ = kind.call(&channel, "hello").await;
                let tried = script.count() - before;
                assert_eq!(tried, if *costs { 1 } else { 2 }, "{attempts:?} {kind:?} {steps:?}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn p177_what_the_caller_or_the_deadline_ends_takes_no_token() {
    let script = Script::new([
        vec![Step::TakeAll, Step::Hang],
        vec![Step::TakeAll, Step::Headers, Step::Hang],
    ]);
    let channel = script.channel(throttled(retry(2), 3));
    for _ in 0..2 {
        let request = Request::new(String::new()).with_timeout(ms(100));
        let status = Kind::Unary.call_with(&channel, request).await.unwrap_err();
        assert_eq!(status.code, DeadlineExceeded);
    }
    script.then([fail(Unavailable)]);
    Kind::Unary.call(&channel, "hello").await.unwrap();
    assert_eq!(script.count(), 4);
}

#[tokio::test(start_paused = true)]
async fn p035_p171_one_deadline_holds_for_all_attempts() {
    for kind in Kind::ALL {
        let script = Script::new(vec![push_back(Unavailable, &["300"]); 9]);
        let channel = script.channel(with_policy(retry(5)));
        let start = Instant::now();
        let request = Request::new("hello".to_owned()).with_timeout(ms(1_000));
        let status = kind.call_with(&channel, request).await.unwrap_err();
        assert_eq!(status.code, DeadlineExceeded, "{kind:?} {status}");
        assert!(!status.unprocessed, "it was tried");
        let text = "passed before it was tried again; last: UNAVAILABLE: as the script says";
        assert!(status.message.contains(text), "{kind:?} {status}");
        assert!((ms(1_000)..ms(1_005)).contains(&start.elapsed()));
        let left: Vec<_> = script
            .seen()
            .iter()
            .map(|seen| seen.left.unwrap())
            .collect();
        assert_eq!(left.len(), 4, "{kind:?}");
        for (number, left) in left.iter().enumerate() {
            let nominal = ms(1_000) - ms(300) * u32::try_from(number).unwrap();
            let spent = nominal.saturating_sub(*left);
            assert!(
                *left <= nominal && spent < ms(10),
                "{kind:?} {left:?} of {nominal:?}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn p171_the_deadline_ends_an_attempt_that_hangs() {
    for kind in Kind::ALL {
        let script = Script::new([fail(Unavailable), vec![Step::TakeAll, Step::Hang]]);
        let channel = script.channel(with_policy(retry(5)));
        let request = Request::new("hello".to_owned()).with_timeout(ms(1_000));
        let status = kind.call_with(&channel, request).await.unwrap_err();
        assert_eq!(
            (status.code, status.unprocessed),
            (DeadlineExceeded, false),
            "{status}"
        );
        script
            .wait_for("it is cancelled", |seen| seen[1].end == End::Cancelled)
            .await;
        assert_eq!(script.ends(), [End::Returned, End::Cancelled]);
    }
}

#[tokio::test(start_paused = true)]
async fn p179_the_last_attempt_s_status_and_trailers_are_the_call_s() {
    let numbered = |number: &str| {
        let mut status = Status::unavailable(format!("attempt {number}"));
        status.metadata.insert("x-attempt", number).unwrap();
        vec![Step::TakeAll, Step::Fail(status)]
    };
    for attempts in [retry(3), hedge(3, 60_000), hedge(3, 0)] {
        for kind in Kind::ALL {
            let script = Script::new(["1", "2", "3"].map(numbered));
            let channel = script.channel(with_policy(attempts.clone()));
            let status = kind.call(&channel, "hello").await.unwrap_err();
            assert_eq!(&*status.message, "attempt 3", "{kind:?} {attempts:?}");
            assert_eq!(
                status.metadata.get("x-attempt"),
                Some("3"),
                "{kind:?} {attempts:?}"
            );
            assert_eq!(status.origin, barewire::Origin::Peer);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn p180_retries_can_be_switched_off() {
    for attempts in [retry(5), hedge(5, 0)] {
        for kind in Kind::ALL {
            let config = ChannelConfig {
                retries: false,
                ..throttled(attempts.clone(), 1)
            };
            let script = Script::new([fail(Unavailable)]);
            let channel = script.channel(config.clone());
            let status = kind.call(&channel, "hello").await.unwrap_err();
            assert_eq!((status.code, script.count()), (Unavailable, 1));
            // What needs no policy stays.
            let fates = Fates::new(&[REFUSED]);
            let channel = fates.channel(config);
            assert_eq!(kind.call(&channel, "hello").await.unwrap(), ["hello"]);
        }
    }
}

#[tokio::test(start_paused = true)]
#[rustfmt::skip]
async fn a_call_is_unprocessed_only_if_no_attempt_of_it_may_have_been() {
    let cases: &[(&[Fate], AttemptPolicy, bool)] = &[
        // attempts                             policy          nobody has seen it
        (&[REFUSED, REFUSED],                   retry(1_000),   true),
        (&[REFUSED, REFUSED, REFUSED],          retry(2),       true),
        (&[Fate::Cut, REFUSED, REFUSED],        retry(2),       false),
        (&[REFUSED, Fate::Cut, REFUSED],        retry(2),       false),
        (&[REFUSED, REFUSED, Fate::Cut],        retry(2),       false),
        (&[Fate::Cut, REFUSED, REFUSED],        hedge(2, 50),   false),
        (&[REFUSED, REFUSED, REFUSED],          hedge(2, 50),   true),
    ];
    for kind in Kind::ALL {
        for (script, attempts, unprocessed) in cases {
            let fates = Fates::new(&[*script, &[REFUSED; 9]].concat());
            let channel = fates.channel(with_policy(attempts.clone()));
            let status = kind.call(&channel, "hello").await.unwrap_err();
            assert_eq!(status.unprocessed, *unprocessed, "{kind:?} {script:?} {status}");
        }
    }
}
