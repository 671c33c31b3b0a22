//! What a service config asks for the calls of a method: P077, P164, P189–P191; and the tokens when
//! another config comes.

use std::sync::Arc;
use std::time::Duration;

use barewire::Code::{DeadlineExceeded, ResourceExhausted, Unavailable};
use barewire::{
    ChannelConfig, Code, Inbound, MethodConfig, Outbound, Request, Response, ServiceConfig,
};
use tokio::time::{sleep, timeout};

use crate::net::{self, Net, Place};
use crate::scripted::{Kind, Script, Step, answer, fail, length_of, ms, path, with_config};
use crate::tokio;

fn of_all(method: MethodConfig) -> ServiceConfig {
    ServiceConfig {
        default_method: Some(method),
        ..ServiceConfig::default()
    }
}

fn timeout_of(milliseconds: u64) -> MethodConfig {
    MethodConfig {
        timeout: Some(ms(milliseconds)),
        ..MethodConfig::default()
    }
}

#[tokio::test(start_paused = true)]
#[rustfmt::skip]
async fn p191_the_earlier_of_two_deadlines_counts() {
    let cases = [
        // config    the call's    what holds
        (None,       None,         None),
        (Some(500),  None,         Some(500)),
        (None,       Some(700),    Some(700)),
        (Some(500),  Some(700),    Some(500)),
        (Some(700),  Some(500),    Some(500)),
        (Some(0),    None,         Some(0)),
        (Some(0),    Some(700),    Some(0)),
    ];
    for kind in Kind::ALL {
        for (config, own, holds) in cases {
            let script = Script::new([vec![Step::TakeAll, Step::Hang]]);
            let method = MethodConfig { timeout: config.map(ms), ..MethodConfig::default() };
            let channel = script.channel(with_config(of_all(method)));
            let mut request = Request::new("hello".to_owned());
            if let Some(own) = own {
                request = request.with_timeout(ms(own));
            }
            let ended = timeout(ms(10_000), kind.call_with(&channel, request)).await;
            let Some(holds) = holds else {
                assert!(ended.is_err(), "{kind:?}");
                assert_eq!(script.seen()[0].left, None);
                continue;
            };
            assert_eq!(ended.unwrap().unwrap_err().code, DeadlineExceeded, "{kind:?} {config:?} {own:?}");
            let left: Vec<_> = script.seen().iter().map(|seen| seen.left.unwrap()).collect();
            if holds == 0 {
                assert!(left.is_empty(), "nothing is sent");
            } else {
                assert!(left[0] <= ms(holds) && left[0] > ms(holds) - ms(5), "{kind:?} {left:?}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
#[rustfmt::skip]
async fn p164_p191_who_waits_for_ready_the_call_says_first_then_the_method_then_the_channel() {
    let cases = [
        // call        method        channel  waits
        (None,         None,         false,   false),
        (None,         None,         true,    true),
        (None,         Some(true),   false,   true),
        (None,         Some(false),  true,    false),
        (Some(true),   Some(false),  false,   true),
        (Some(false),  Some(true),   true,    false),
        (Some(true),   None,         false,   true),
        (Some(false),  None,         true,    false),
    ];
    for kind in Kind::ALL {
        for (own, of_method, of_channel, waits) in cases {
            let script = Script::default();
            let net = Net::default();
            net.put(1, Place::Refused);
            let method = MethodConfig { wait_for_ready: of_method, ..MethodConfig::default() };
            let channel = net.channel_with([1], ChannelConfig {
                wait_for_ready: of_channel,
                ..with_config(of_all(method))
            });
            let mut request = Request::new("hello".to_owned());
            request.wait_for_ready = own;
            let call = tokio::spawn(async move { kind.call_with(&channel, request).await });
            sleep(Duration::from_secs(60)).await;
            let what = format!("{kind:?} {own:?} {of_method:?} {of_channel}");
            assert_eq!(call.is_finished(), !waits, "{what}");
            let service = script.clone();
            net.put(1, Place::Other(Arc::new(move |io| service.serve_io(io))));
            let found = call.await.unwrap();
            assert_eq!(found.map_err(|status| status.code), if waits { Ok(vec!["hello".to_owned()]) } else { Err(Unavailable) }, "{what}");
        }
    }
}

#[tokio::test(start_paused = true)]
#[rustfmt::skip]
async fn p077_the_smaller_of_two_limits_counts_and_zero_means_empty() {
    let hello = length_of("hello") - length_of(""); // without its prefix
    let cases = [
        // of the method  of the channel  a message of  passes
        (None,            4_096,          "hello",      true),
        (Some(hello),     4_096,          "hello",      true),
        (Some(hello - 1), 4_096,          "hello",      false),
        (Some(4_096),     hello,          "hello",      true),
        (Some(4_096),     hello - 1,      "hello",      false),
        (Some(0),         4_096,          "h",          false),
        (Some(0),         4_096,          "",           true),
    ];
    for kind in Kind::ALL {
        for (of_method, of_channel, text, passes) in cases {
            let what = format!("{kind:?} {of_method:?} {of_channel} {text:?}");
            let expected = if passes { Ok(vec![text.to_owned()]) } else { Err(ResourceExhausted) };

            // Requests.
            let script = Script::default();
            let method = MethodConfig { max_request_bytes: of_method, ..MethodConfig::default() };
            let channel = script.channel(ChannelConfig {
                max_send_message: of_channel,
                ..with_config(of_all(method))
            });
            let found = kind.call(&channel, text).await;
            assert_eq!(found.map_err(|status| status.code), expected, "{what}");
            assert!(script.messages().concat().len() <= usize::from(passes), "{what}");

            // Responses.
            let script = Script::new([answer(text)]);
            let method = MethodConfig { max_response_bytes: of_method, ..MethodConfig::default() };
            let channel = script.channel(ChannelConfig {
                max_recv_message: of_channel,
                ..with_config(of_all(method))
            });
            let found = kind.call(&channel, "any length at all").await;
            assert_eq!(found.map_err(|status| status.code), expected, "{what}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn p075_a_message_too_large_is_not_sent_and_ends_the_call() {
    let script = Script::default();
    let method = MethodConfig {
        max_request_bytes: Some(10),
        ..MethodConfig::default()
    };
    let channel = script.channel(with_config(of_all(method)));
    let (mut out, mut back): (Outbound<String>, Inbound<String>) =
        channel.bidi(path("Call"), ()).await.unwrap();
    out.send("a".to_owned()).await.unwrap();
    let status = out.send("much too large".to_owned()).await.unwrap_err();
    assert_eq!(status.code, ResourceExhausted);
    assert_eq!(back.next().await.unwrap_err(), status);
}

#[tokio::test(start_paused = true)]
#[rustfmt::skip]
async fn p190_the_method_counts_before_its_service_and_that_before_the_rest() {
    let by_code = ServiceConfig {
        methods: [("/test.Script/Call".to_owned(), timeout_of(1_000))].into(),
        services: [("test.Script".to_owned(), timeout_of(2_000))].into(),
        default_method: Some(timeout_of(3_000)),
        ..ServiceConfig::default()
    };
    let by_json = ServiceConfig::from_json(r#"{"methodConfig": [
        {"name": [{}], "timeout": "3s"},
        {"name": [{"service": "test.Script"}], "timeout": "2s"},
        {"name": [{"service": "test.Script", "method": "Call"}], "timeout": "1s"}
    ]}"#).unwrap();
    assert_eq!(by_code, by_json);
    let without = |change: fn(&mut ServiceConfig)| {
        let mut config = by_code.clone();
        change(&mut config);
        config
    };
    let cases = [
        // config                                                                  of Call      of Other
        (by_code.clone(),                                                          Some(1_000), Some(2_000)),
        (without(|config| config.methods.clear()),                                 Some(2_000), Some(2_000)),
        (without(|config| config.services.clear()),                                Some(1_000), Some(3_000)),
        (without(|config| config.default_method = None),                           Some(1_000), Some(2_000)),
        (without(|config| { config.services.clear(); config.default_method = None }), Some(1_000), None),
        // An entry counts by itself: nothing comes from the ones below it.
        (without(|config| *config.methods.get_mut("/test.Script/Call").unwrap() = MethodConfig::default()), None, Some(2_000)),
        (without(|config| *config.services.get_mut("test.Script").unwrap() = MethodConfig::default()), Some(1_000), None),
        // Other names are none.
        (ServiceConfig::from_json(r#"{"methodConfig": [{"name": [{"service": "Script"}, {"service": "test"}, {"service": "test.Script", "method": "call"}], "timeout": "9s"}]}"#).unwrap(), None, None),
    ];
    for (config, of_call, of_other) in cases {
        let script = Script::default();
        let channel = script.channel(with_config(config.clone()));
        for method in ["Call", "Other"] {
            let _: Response<String> = channel.unary(path(method), "hello".to_owned()).await.unwrap();
        }
        let seen = script.seen();
        assert_eq!(seen.iter().map(|seen| &*seen.method).collect::<Vec<_>>(), ["Call", "Other"]);
        for (seen, expected) in seen.iter().zip([of_call, of_other]) {
            let rounded = seen.left.map(|left| u64::try_from(left.as_millis().div_ceil(100) * 100).unwrap());
            assert_eq!(rounded, expected, "{} {config:?}", seen.method);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn p189_a_config_in_json_has_calls_tried_again_and_side_by_side() {
    let config = r#"{
        "methodConfig": [{
            "name": [{"service": "test.Script", "method": "Call"}],
            "retryPolicy": {
                "maxAttempts": 3,
                "initialBackoff": "0.1s",
                "maxBackoff": "1s",
                "backoffMultiplier": 2,
                "retryableStatusCodes": ["UNAVAILABLE", 10]
            }
        }, {
            "name": [{"service": "test.Script"}],
            "hedgingPolicy": {"maxAttempts": 2, "hedgingDelay": "0.5s", "nonFatalStatusCodes": []}
        }],
        "retryThrottling": {"maxTokens": 10, "tokenRatio": 0.1}
    }"#;
    let script = Script::new([fail(Unavailable), fail(Code::Aborted), answer("third")]);
    let config = ServiceConfig::from_json(config).unwrap();
    let channel = script.channel(with_config(config));
    assert_eq!(
        Kind::Unary.call(&channel, "hello").await.unwrap(),
        ["third"]
    );
    script.then([vec![Step::TakeAll, Step::Hang], answer("second")]);
    let answer: Response<String> = channel
        .unary(path("Other"), "hello".to_owned())
        .await
        .unwrap();
    assert_eq!(answer.message, "second");
    assert_eq!(script.previous(), ["", "1", "2", "", "1"]);
    assert!((ms(500)..ms(505)).contains(&script.gaps()[3]));
}

/// A retry policy with these tokens, and a timeout, so that the config is another one.
fn with_tokens(max_tokens: u32, seconds: u32) -> String {
    format!(
        r#"{{
            "methodConfig": [{{
                "name": [{{}}],
                "timeout": "{seconds}s",
                "retryPolicy": {{
                    "maxAttempts": 2,
                    "initialBackoff": "0.1s",
                    "maxBackoff": "1s",
                    "backoffMultiplier": 2,
                    "retryableStatusCodes": ["UNAVAILABLE"]
                }}
            }}],
            "retryThrottling": {{"maxTokens": {max_tokens}, "tokenRatio": 0.1}}
        }}"#
    )
}

#[tokio::test(start_paused = true)]
#[rustfmt::skip]
async fn p177_tokens_stay_gone_when_a_config_comes_that_counts_them_alike() {
    let cases = [
        // the next config       attempts of the next call
        (with_tokens(3, 60),     1),    // the same
        (with_tokens(3, 59),     1),    // another one, with the same tokens
        (with_tokens(4, 60),     2),    // other tokens
    ];
    for (next, attempts) in cases {
        let script = Script::new([fail(Unavailable), fail(Unavailable)]);
        let service = script.clone();
        let net = Net::default();
        net.put(1, Place::Other(Arc::new(move |io| service.serve_io(io))));
        let names = net::Script::answering(Ok(&[1]));
        names.config(Some(with_tokens(3, 60).leak()));
        let channel = net.channel_of(Arc::new(names.clone()), ChannelConfig::default());
        // A call follows the config that counts when it begins.
        channel.ready().await.unwrap();
        // Two of three tokens go.
        Kind::Unary.call(&channel, "hello").await.unwrap_err();
        names.config(Some(next.clone().leak()));
        names.announce(Ok(&[1]));
        sleep(Duration::from_secs(1)).await;
        script.then([fail(Unavailable)]);
        let _ = Kind::Unary.call(&channel, "hello").await;
        assert_eq!(script.count() - 2, attempts, "{next}");
    }
}
