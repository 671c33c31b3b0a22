//! Hedging of whole calls: P181–P186.

use std::sync::Arc;
use std::time::Duration;

use barewire::Code::{Cancelled, DeadlineExceeded, Internal, Unavailable};
use barewire::{
    Balancing, ChannelConfig, Inbound, Outbound, Request, RetryThrottling, Server, ServerConfig,
    Status,
};
use tokio::time::Instant;

use crate::net::{Net, Place};
use crate::scripted::End::{self, Cancelled as Dropped, Open, Returned};
use crate::scripted::{
    Fate, Fates, Kind, Script, Step, all, answer, channel, echo, fail, fail_after_headers, hedge,
    ms, path, push_back, retry, with_policy,
};
use crate::tokio;

/// Takes the request, and answers after so many milliseconds.
fn answer_after(milliseconds: u64, text: &'static str) -> Vec<Step> {
    vec![
        Step::TakeAll,
        Step::Sleep(ms(milliseconds)),
        Step::Say(text),
    ]
}

fn fail_after(milliseconds: u64, status: Status) -> Vec<Step> {
    vec![
        Step::TakeAll,
        Step::Sleep(ms(milliseconds)),
        Step::Fail(status),
    ]
}

fn unavailable() -> Status {
    Status::unavailable("not fatal")
}

fn fatal() -> Status {
    Status::internal("fatal")
}

fn hang() -> Vec<Step> {
    vec![Step::TakeAll, Step::Hang]
}

#[tokio::test(start_paused = true)]
#[rustfmt::skip]
async fn p182_p186_attempts_go_out_in_a_rhythm_until_the_call_is_decided() {
    let cases: &[(u64, Vec<Vec<Step>>, Result<&str, barewire::Code>, &[u64], &[End], u64)] = &[
        // delay  attempts                                                                   ends              begin at        are then                          over at
        (100,     vec![answer("a")],                                                         Ok("a"),          &[0],           &[Returned],                      0),
        (100,     vec![answer_after(50, "a")],                                               Ok("a"),          &[0],           &[Returned],                      50),
        (100,     vec![hang(), hang(), answer("c")],                                         Ok("c"),          &[0, 100, 200], &[Dropped, Dropped, Returned],    200),
        (100,     vec![answer_after(250, "a"), answer_after(500, "b"), hang()],              Ok("a"),          &[0, 100, 200], &[Returned, Dropped, Dropped],    250),
        // A failure that is not fatal brings the next one forward; the rhythm goes on from there.
        (100,     vec![fail(Unavailable), hang(), answer("c")],                              Ok("c"),          &[0, 0, 100],   &[Returned, Dropped, Returned],   100),
        (100,     vec![fail_after(30, unavailable()), hang(), answer("c")],                  Ok("c"),          &[0, 30, 130],  &[Returned, Dropped, Returned],   130),
        (100,     vec![fail_after(130, unavailable()), hang(), answer("c")],                 Ok("c"),          &[0, 100, 130], &[Returned, Dropped, Returned],   130),
        // Any other failure is the end, whatever runs.
        (100,     vec![fail(Internal)],                                                      Err(Internal),    &[0],           &[Returned],                      0),
        (100,     vec![hang(), fail_after(30, fatal())],                                     Err(Internal),    &[0, 100],      &[Dropped, Returned],             130),
        (100,     vec![fail_after(230, fatal()), hang(), hang()],                            Err(Internal),    &[0, 100, 200], &[Returned, Dropped, Dropped],    230),
        // There is hope as long as one runs.
        (100,     vec![answer_after(500, "a"), fail(Unavailable), fail(Unavailable)],        Ok("a"),          &[0, 100, 100], &[Returned, Returned, Returned],  500),
        (100,     vec![fail(Unavailable), fail(Unavailable), fail_after(70, unavailable())], Err(Unavailable), &[0, 0, 0],     &[Returned, Returned, Returned],  70),
        // All at once.
        (0,       vec![hang(), answer_after(50, "b"), hang()],                               Ok("b"),          &[0, 0, 0],     &[Dropped, Returned, Dropped],    50),
        // Headers decide, not the end.
        (100,     vec![vec![Step::TakeAll, Step::Sleep(ms(150)), Step::Headers, Step::Sleep(ms(500)), Step::Say("a")], answer_after(80, "b")],
                                                                                             Ok("a"),          &[0, 100],      &[Returned, Dropped],             650),
        (100,     vec![hang(), fail_after_headers(Unavailable), answer("c")],                Err(Unavailable), &[0, 100],      &[Dropped, Returned],             100),
    ];
    for kind in Kind::ALL {
        for (delay, entries, ends, begins, are_then, over) in cases {
            let script = Script::new(entries.clone());
            let channel = script.channel(with_policy(hedge(3, *delay)));
            let start = Instant::now();
            let found = kind.call(&channel, "hello").await;
            let what = format!("{kind:?} {delay} {entries:?}");
            assert_eq!(found.as_ref().map(|texts| texts[0].as_str()).map_err(|status| status.code), *ends, "{what}");
            let slack = ms(10);
            assert!((ms(*over)..ms(*over) + slack).contains(&start.elapsed()), "{what} {:?}", start.elapsed());
            script.wait_for("all are over", |seen| seen.iter().all(|seen| seen.end != Open)).await;
            assert_eq!(script.ends(), *are_then, "{what}");
            for ((seen, begin), number) in script.seen().iter().zip(*begins).zip(0..) {
                let at = seen.at - start;
                assert!((ms(*begin)..ms(*begin) + slack).contains(&at), "{what} {at:?}");
                let previous = if number == 0 { String::new() } else { number.to_string() };
                assert_eq!(seen.previous.join(" and "), previous, "{what}");
                assert!(seen.half_closed && seen.messages == ["hello"], "{what}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
#[rustfmt::skip]
async fn p183_pushback_delays_the_next_attempt_or_all() {
    let cases: &[(Vec<Vec<Step>>, Result<&str, barewire::Code>, &[u64])] = &[
        // attempts                                                           ends              begin at
        (vec![push_back(Unavailable, &["700"]), hang(), answer("c")],         Ok("c"),          &[0, 700, 800]),
        (vec![push_back(Unavailable, &["0"]), hang(), answer("c")],           Ok("c"),          &[0, 0, 100]),
        (vec![push_back(Unavailable, &["-1"]), answer("b")],                  Err(Unavailable), &[0]),
        (vec![push_back(Unavailable, &["x"]), answer("b")],                   Err(Unavailable), &[0]),
        (vec![push_back(Unavailable, &["1", "1"]), answer("b")],              Err(Unavailable), &[0]),
        (vec![push_back(Internal, &["0"]), answer("b")],                      Err(Internal),    &[0]),
        // Those that run go on.
        (vec![answer_after(400, "a"), push_back(Unavailable, &["-1"])],       Ok("a"),          &[0, 100]),
        (vec![answer_after(400, "a"), push_back(Unavailable, &["250"])],      Ok("a"),          &[0, 100, 350]),
    ];
    for kind in Kind::ALL {
        for (entries, ends, begins) in cases {
            let script = Script::new(entries.iter().cloned().chain([hang()]));
            let channel = script.channel(with_policy(hedge(3, 100)));
            let start = Instant::now();
            let found = kind.call(&channel, "hello").await;
            let found = found.as_ref().map(|texts| texts[0].as_str()).map_err(|status| status.code);
            assert_eq!(found, *ends, "{kind:?} {entries:?}");
            let seen = script.seen();
            assert_eq!(seen.len(), begins.len(), "{kind:?} {entries:?}");
            for (seen, begin) in seen.iter().zip(*begins) {
                let at = seen.at - start;
                assert!((ms(*begin)..ms(begin + 10)).contains(&at), "{kind:?} {entries:?} {at:?}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn p184_without_tokens_no_further_attempt_goes_out() {
    for kind in Kind::ALL {
        let mut config = with_policy(hedge(3, 100));
        config.service_config.as_mut().unwrap().retry_throttling = Some(RetryThrottling {
            max_tokens: 4,
            token_ratio: 0.1,
        });
        // Two of four tokens go.
        let script = Script::new([fail(Unavailable), fail(Unavailable)]);
        let channel = script.channel(config);
        let found = kind.call(&channel, "hello").await;
        assert_eq!(found.unwrap_err().code, Unavailable);
        assert_eq!(
            script.count(),
            2,
            "the second failure leaves no token for a third attempt"
        );
        // First attempts go out; nothing comes to their help.
        script.then([answer_after(1_000, "a"), answer("b")]);
        assert_eq!(kind.call(&channel, "hello").await.unwrap(), ["a"]);
        assert_eq!(script.count(), 3);
        script.then([fail(Unavailable)]);
        kind.call(&channel, "hello").await.unwrap();
        script.then([fail(Unavailable)]);
        let found = kind.call(&channel, "hello").await;
        assert_eq!(found.unwrap_err().code, Unavailable, "{kind:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn p185_more_than_is_kept_leaves_the_attempt_that_was_told_the_most() {
    let script = Script::new([hang(), echo(), hang()]);
    let channel = script.channel(ChannelConfig {
        retry_buffer_per_call: 1_000,
        ..with_policy(hedge(3, 100))
    });
    let (mut out, mut back): (Outbound<String>, Inbound<String>) =
        channel.bidi(path("Call"), ()).await.unwrap();
    let text = "x".repeat(400);
    out.send(text.clone()).await.unwrap();
    out.send(text.clone()).await.unwrap();
    assert_eq!(script.count(), 1);
    // The third message is too much: the first attempt is the call, and no other one is made.
    out.send(text.clone()).await.unwrap();
    let waiting = tokio::spawn(async move { back.next().await });
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(script.count(), 1);
    assert_eq!(script.messages(), [vec![text; 3]]);
    drop(out);
    assert_eq!(waiting.await.unwrap().unwrap_err().code, Cancelled);
}

#[tokio::test(start_paused = true)]
async fn p185_of_several_attempts_one_is_left_when_too_much_was_said() {
    let script = Script::new([echo(), hang(), hang()]);
    let channel = script.channel(ChannelConfig {
        retry_buffer_per_call: 1_000,
        ..with_policy(hedge(3, 100))
    });
    let (mut out, mut back): (Outbound<String>, Inbound<String>) =
        channel.bidi(path("Call"), ()).await.unwrap();
    let reader = tokio::spawn(async move {
        let mut count = 0;
        while back.next().await?.is_some() {
            count += 1;
        }
        Ok::<usize, Status>(count)
    });
    tokio::time::sleep(ms(250)).await;
    assert_eq!(script.count(), 3);
    let text = "x".repeat(600);
    out.send(text.clone()).await.unwrap();
    out.send(text.clone()).await.unwrap();
    script
        .wait_for("two are cancelled", |seen| {
            seen.iter().filter(|seen| seen.end == Dropped).count() == 2
        })
        .await;
    out.finish().unwrap();
    assert_eq!(reader.await.unwrap().unwrap(), 2);
    assert_eq!(script.ends(), [Returned, Dropped, Dropped]);
}

#[tokio::test(start_paused = true)]
async fn p185_a_request_too_large_to_be_kept_is_sent_once() {
    for kind in [Kind::Unary, Kind::ServerStreaming] {
        for delay in [0, 100] {
            let script = Script::new([answer_after(1_000, "a")]);
            let channel = script.channel(ChannelConfig {
                retry_buffer_per_call: 1_000,
                ..with_policy(hedge(5, delay))
            });
            let text = "x".repeat(1_000);
            for _ in 0..2 {
                script.then([answer_after(1_000, "a")]);
                kind.call(&channel, &text).await.unwrap();
            }
            assert_eq!(script.ends(), [Returned, Returned], "{kind:?} {delay}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn p174_p186_what_is_said_later_goes_to_all_attempts_that_run() {
    let script = Script::new([hang(), hang(), echo()]);
    let channel = script.channel(with_policy(hedge(3, 100)));
    let (mut out, mut back): (Outbound<String>, Inbound<String>) =
        channel.bidi(path("Call"), ()).await.unwrap();
    out.send("a".to_owned()).await.unwrap();
    let reader = tokio::spawn(async move {
        assert_eq!(back.next().await.unwrap().as_deref(), Some("a"));
        back
    });
    tokio::time::sleep(ms(150)).await;
    out.send("b".to_owned()).await.unwrap();
    script
        .wait_for("both have heard it", |seen| {
            seen.len() == 2 && seen.iter().all(|seen| seen.messages == ["a", "b"])
        })
        .await;
    let back = reader.await.unwrap();
    out.send("c".to_owned()).await.unwrap();
    out.finish().unwrap();
    assert_eq!(all(back).await.unwrap(), ["b", "c"]);
    assert_eq!(script.messages()[2], ["a", "b", "c"]);
    assert_eq!(script.ends(), [Dropped, Dropped, Returned]);
}

#[tokio::test(start_paused = true)]
async fn p128_p182_the_end_of_the_call_is_the_end_of_all_attempts() {
    for kind in Kind::ALL {
        for by_deadline in [false, true] {
            let script = Script::new([hang(), hang(), hang()]);
            let channel = script.channel(with_policy(hedge(3, 100)));
            let mut request = Request::new("hello".to_owned());
            if by_deadline {
                request = request.with_timeout(ms(1_000));
            }
            let call = tokio::spawn({
                let channel = channel.clone();
                async move { kind.call_with(&channel, request).await }
            });
            script
                .wait_for("all are there", |seen| seen.len() == 3)
                .await;
            if by_deadline {
                assert_eq!(call.await.unwrap().unwrap_err().code, DeadlineExceeded);
            } else {
                call.abort();
            }
            script
                .wait_for("all are cancelled", |seen| {
                    seen.iter().all(|seen| seen.end == Dropped)
                })
                .await;
            // Nothing follows.
            tokio::time::sleep(Duration::from_secs(10)).await;
            assert_eq!(script.count(), 3);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn p166_a_hedge_that_was_refused_is_sent_once_more_with_its_number() {
    let refused = Fate::Reset(h2::Reason::REFUSED_STREAM);
    for kind in Kind::ALL {
        // The second attempt is refused, made again, and cut with the connection.
        let fates = Fates::new(&[Fate::Hang, refused, Fate::Hang, Fate::Echo]);
        let channel = fates.channel(with_policy(hedge(3, 100)));
        assert_eq!(kind.call(&channel, "hello").await.unwrap(), ["hello"]);
        let previous = [None, Some("1"), Some("1"), Some("2")];
        assert_eq!(
            fates.previous(),
            previous.map(|text| text.map(str::to_owned)),
            "{kind:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn p009_p182_losers_give_their_streams_back() {
    let script = Script::default();
    let service = script.clone();
    let mut config = with_policy(hedge(3, 0));
    config
        .service_config
        .as_mut()
        .unwrap()
        .max_connections_per_address = Some(1);
    let channel = channel(config, move |_, io| {
        let mut config = ServerConfig::default();
        config.http2.max_concurrent_streams = 4;
        let server = Server::new().with_config(config).add(service.clone());
        tokio::spawn(server.serve_io(io));
    });
    let calls = (0..300).map(|number: usize| {
        let channel = channel.clone();
        let kind = Kind::ALL[number % 4];
        tokio::spawn(async move {
            let text = number.to_string();
            assert_eq!(kind.call(&channel, &text).await.unwrap(), [text]);
        })
    });
    for call in calls.collect::<Vec<_>>() {
        call.await.unwrap();
    }
    script
        .wait_for("all are over", |seen| {
            seen.iter().all(|seen| seen.end != Open)
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn p174_p182_each_attempt_is_picked_anew() {
    for attempts in [hedge(3, 100), retry(3)] {
        for kind in Kind::ALL {
            let net = Net::default();
            let scripts = [1, 2, 3].map(|number| {
                let script = Script::new([fail(Unavailable)]);
                let service = script.clone();
                net.put(
                    number,
                    Place::Other(Arc::new(move |io| service.serve_io(io))),
                );
                script
            });
            let channel = net.channel_with(
                [1, 2, 3],
                ChannelConfig {
                    balancing: Balancing::RoundRobin,
                    ..with_policy(attempts.clone())
                },
            );
            channel.ready().await.unwrap();
            tokio::time::sleep(Duration::from_secs(1)).await;
            let found = kind.call(&channel, "hello").await;
            assert_eq!(found.unwrap_err().code, Unavailable);
            let counts = scripts.each_ref().map(Script::count);
            assert_eq!(counts, [1, 1, 1], "{kind:?} {attempts:?}");
            assert_eq!(kind.call(&channel, "hello").await.unwrap(), ["hello"]);
        }
    }
}
