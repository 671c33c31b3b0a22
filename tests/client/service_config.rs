//! `client::service_config`: P169, P177, P181, P187–P190, P192, P194.

use std::sync::Arc;
use std::time::Duration;

use barewire::wire::MethodPath;
use barewire::{
    AttemptPolicy, Code, HedgingPolicy, LoadBalancingConfig, MethodConfig, RetryPolicy,
    RetryThrottling, ServiceConfig, ServiceConfigError,
};
use http::uri::PathAndQuery;

use crate::inside::in_force::ConfigInForce;

fn read(json: &str) -> ServiceConfig {
    ServiceConfig::from_json(json).unwrap_or_else(|error| panic!("{json}: {error}"))
}

/// What is wrong, without the words that all errors begin with.
fn fault(json: &str) -> String {
    let error = ServiceConfig::from_json(json).expect_err(json).to_string();
    error
        .strip_prefix("service config: ")
        .unwrap_or(&error)
        .to_owned()
}

/// A config for all methods, of these members.
fn default_method(members: &str) -> MethodConfig {
    let config = read(&in_method(members));
    config.default_method.unwrap()
}

fn in_method(members: &str) -> String {
    format!(r#"{{"methodConfig": [{{"name": [{{}}], {members}}}]}}"#)
}

/// What is wrong with members of a method config, behind their place.
fn method_fault(members: &str) -> String {
    let fault = fault(&in_method(members));
    fault
        .strip_prefix("methodConfig[0].")
        .expect(members)
        .to_owned()
}

fn path(path: &'static str) -> MethodPath {
    MethodPath::parse(PathAndQuery::from_static(path)).unwrap()
}

#[test]
#[rustfmt::skip]
fn p187_a_duration_is_a_number_and_an_s() {
    let cases = [
        ("1s",                     Duration::from_secs(1)),
        ("0s",                     Duration::ZERO),
        ("1.5s",                   Duration::from_millis(1_500)),
        ("0.1s",                   Duration::from_millis(100)),
        ("0.000000001s",           Duration::from_nanos(1)),
        ("1.000000000s",           Duration::from_secs(1)),
        ("12.345678901s",          Duration::new(12, 345_678_901)),
        ("315576000000s",          Duration::from_secs(315_576_000_000)),
        ("315576000000.999999999s", Duration::new(315_576_000_000, 999_999_999)),
    ];
    for (text, expected) in cases {
        let config = default_method(&format!(r#""timeout": "{text}""#));
        assert_eq!(config.timeout, Some(expected), "{text}");
    }
}

#[test]
#[rustfmt::skip]
fn p187_what_is_no_duration_is_refused() {
    let cases = [
        r#""""#, r#""s""#, r#""1""#, r#""1 s""#, r#"" 1s""#, r#""1S""#, r#""1ms""#, r#""1m""#,
        r#"".5s""#, r#""1.s""#, r#"".s""#, r#""1.5.5s""#, r#""01s""#,     // no numbers of JSON
        r#""1e3s""#, r#""+1s""#, r#""-1s""#, r#""1.+5s""#, r#""1.-5s""#, r#""٣s""#,
        r#""1.0000000001s""#,                                             // ten decimals
        r#""315576000001s""#, r#""99999999999999999999s""#,               // too long
        "1", "1.5", "true", "[]", "{}",
    ];
    for text in cases {
        let expected = format!("timeout is {text}, but must be a duration such as \"1.5s\"");
        assert_eq!(method_fault(&format!(r#""timeout": {text}"#)), expected);
    }
}

#[test]
#[rustfmt::skip]
fn p187_large_numbers_may_be_strings() {
    let max = usize::MAX;
    let cases = [
        ("0",                         0),      // messages must be empty
        ("1024",                      1_024),
        (r#""1024""#,                 1_024),
        ("18446744073709551615",      max),
        (r#""18446744073709551615""#, max),
    ];
    for (text, expected) in cases {
        let config = default_method(&format!(r#""maxRequestMessageBytes": {text}, "maxResponseMessageBytes": {text}"#));
        assert_eq!(config.max_request_bytes, Some(expected), "{text}");
        assert_eq!(config.max_response_bytes, Some(expected), "{text}");
    }
    for text in ["-1", "1.5", "1.0", "1e3", r#""-1""#, r#""+1""#, r#""""#, r#""1.5""#, r#""18446744073709551616""#, "true", "[]"] {
        for field in ["maxRequestMessageBytes", "maxResponseMessageBytes"] {
            let found = method_fault(&format!(r#""{field}": {text}"#)).replace("1000.0", "1e3");
            assert_eq!(found, format!("{field} is {text}, but must be an unsigned integer of 64 bits"));
        }
    }
}

#[test]
#[rustfmt::skip]
fn p187_null_is_as_good_as_nothing() {
    let cases = [
        "{}",
        r#"{"loadBalancingPolicy": null, "loadBalancingConfig": null, "methodConfig": null, "retryThrottling": null,
            "healthCheckConfig": null, "connectionScaling": null}"#,
        r#"{"healthCheckConfig": {"serviceName": null}, "connectionScaling": {"maxConnectionsPerSubchannel": null}}"#,
        r#"{"healthCheckConfig": {}, "connectionScaling": {}, "methodConfig": []}"#,
        r#"{"methodConfig": [{}, {"name": null}, {"name": []}]}"#,                      // for no method
    ];
    for json in cases {
        assert_eq!(read(json), ServiceConfig::default(), "{json}");
    }
    let method = default_method(r#""waitForReady": null, "timeout": null, "maxRequestMessageBytes": null,
        "maxResponseMessageBytes": null, "retryPolicy": null, "hedgingPolicy": null"#);
    assert_eq!(method, MethodConfig::default());
}

#[test]
#[rustfmt::skip]
fn p187_what_is_no_json_is_refused() {
    for json in ["", " ", "{", "{]", "{'a': 1}", "{} {}", "nul", &"[".repeat(100_000)] {
        let error = ServiceConfig::from_json(json).unwrap_err();
        assert!(matches!(error, ServiceConfigError::NotJson(_)), "{error}");
        assert!(error.to_string().starts_with("service config is not JSON: "), "{error}");
    }
    for json in ["null", "[]", "1", r#""text""#, "true"] {
        let found = if json == "null" { "missing" } else { json };
        assert_eq!(fault(json), format!("the whole is {found}, but must be an object"));
    }
}

#[test]
fn p188_every_field_of_the_top_level_is_read() {
    let config = read(
        r#"{
            "loadBalancingConfig": [{"round_robin": {}}],
            "methodConfig": [{"name": [{"service": "shop.Cart"}], "waitForReady": true}],
            "retryThrottling": {"maxTokens": 10, "tokenRatio": 0.1},
            "healthCheckConfig": {"serviceName": "shop"},
            "connectionScaling": {"maxConnectionsPerSubchannel": 4}
        }"#,
    );
    let method = MethodConfig {
        wait_for_ready: Some(true),
        ..MethodConfig::default()
    };
    let expected = ServiceConfig {
        services: [("shop.Cart".to_owned(), method)].into(),
        retry_throttling: Some(RetryThrottling {
            max_tokens: 10,
            token_ratio: 0.1,
        }),
        load_balancing: Some(LoadBalancingConfig::RoundRobin),
        health_check_service: Some("shop".to_owned()),
        max_connections_per_address: Some(4),
        ..ServiceConfig::default()
    };
    assert_eq!(config, expected);
    assert_eq!(config.check(), Ok(()));
}

#[test]
#[rustfmt::skip]
fn p188_the_first_policy_that_is_known_counts() {
    use LoadBalancingConfig::{LeastRequest, PickFirst, RoundRobin};

    let cases = [
        (r#"[{"round_robin": {}}]"#,                                       RoundRobin),
        (r#"[{"pick_first": {}}]"#,                                        PickFirst { shuffle: false }),
        (r#"[{"pick_first": {"shuffleAddressList": true, "new": 1}}]"#,    PickFirst { shuffle: true }),
        (r#"[{"least_request_experimental": {}}]"#,                        LeastRequest { choice_count: 2 }),
        (r#"[{"least_request_experimental": {"choiceCount": 3}}]"#,        LeastRequest { choice_count: 3 }),
        (r#"[{"least_request_experimental": {"choiceCount": 10}}]"#,       LeastRequest { choice_count: 10 }),
        (r#"[{"least_request_experimental": {"choiceCount": 11}}]"#,       LeastRequest { choice_count: 10 }),
        (r#"[{"xds": 7}, {"round_robin": {}}]"#,                           RoundRobin),
        (r#"[{"round_robin": {}}, {"pick_first": {"shuffleAddressList": 1}}]"#, RoundRobin),  // what follows is for others
        (r#"[{"Round_Robin": {}}, {"pick_first": {}}]"#,                   PickFirst { shuffle: false }),
    ];
    for (list, expected) in cases {
        let config = read(&format!(r#"{{"loadBalancingConfig": {list}}}"#));
        assert_eq!(config.load_balancing, Some(expected), "{list}");
        assert_eq!(config.check(), Ok(()), "{list}");
    }
}

#[test]
#[rustfmt::skip]
fn p188_a_list_without_a_known_policy_is_refused() {
    let known = "must be a policy that is known: pick_first, round_robin or least_request_experimental";
    let cases = [
        ("[]",                     "loadBalancingConfig is [], but "),
        (r#"[{"xds": {}}]"#,       r#"loadBalancingConfig is [{"xds":{}}], but "#),
    ];
    for (list, fault_begins) in cases {
        assert_eq!(fault(&format!(r#"{{"loadBalancingConfig": {list}}}"#)), format!("{fault_begins}{known}"));
    }
    let cases = [
        (r#"{}"#,                                        "loadBalancingConfig is {}, but must be a list"),
        (r#""round_robin""#,                             r#"loadBalancingConfig is "round_robin", but must be a list"#),
        (r#"["round_robin"]"#,                           r#"loadBalancingConfig[0] is "round_robin", but must be an object"#),
        (r#"[{}]"#,                                      "loadBalancingConfig[0] is {}, but must be an object with one member"),
        (r#"[{"a": {}, "b": {}}]"#,                      r#"loadBalancingConfig[0] is {"a":{},"b":{}}, but must be an object with one member"#),
        (r#"[{"round_robin": 1}]"#,                      "loadBalancingConfig[0].round_robin is 1, but must be an object"),
        (r#"[{"round_robin": null}]"#,                   "loadBalancingConfig[0].round_robin is missing, but must be an object"),
        (r#"[{"pick_first": {"shuffleAddressList": 1}}]"#, "loadBalancingConfig[0].pick_first.shuffleAddressList is 1, but must be true or false"),
        (r#"[{"x": 1}, {"least_request_experimental": {"choiceCount": 1}}]"#,
            "loadBalancingConfig[1].least_request_experimental.choiceCount is 1, but must be 2 to 10"),
        (r#"[{"least_request_experimental": {"choiceCount": "3"}}]"#,
            r#"loadBalancingConfig[0].least_request_experimental.choiceCount is "3", but must be an unsigned integer of 32 bits"#),
    ];
    for (list, expected) in cases {
        assert_eq!(fault(&format!(r#"{{"loadBalancingConfig": {list}}}"#)), expected);
    }
}

#[test]
#[rustfmt::skip]
fn p188_the_old_name_of_a_policy_counts_if_there_is_no_list() {
    use LoadBalancingConfig::{PickFirst, RoundRobin};

    let cases = [
        (r#"{"loadBalancingPolicy": "round_robin"}"#, RoundRobin),
        (r#"{"loadBalancingPolicy": "ROUND_ROBIN"}"#, RoundRobin),
        (r#"{"loadBalancingPolicy": "Pick_First"}"#,  PickFirst { shuffle: false }),
        (r#"{"loadBalancingPolicy": "round_robin", "loadBalancingConfig": [{"pick_first": {}}]}"#, PickFirst { shuffle: false }),
    ];
    for (json, expected) in cases {
        assert_eq!(read(json).load_balancing, Some(expected), "{json}");
    }
    let known = "a policy that is known: pick_first, round_robin or least_request_experimental";
    let cases = [
        (r#"{"loadBalancingPolicy": "grpclb"}"#, format!(r#"loadBalancingPolicy is "grpclb", but must be {known}"#)),
        (r#"{"loadBalancingPolicy": "grpclb", "loadBalancingConfig": [{"pick_first": {}}]}"#,
            format!(r#"loadBalancingPolicy is "grpclb", but must be {known}"#)),
        (r#"{"loadBalancingPolicy": 1}"#, "loadBalancingPolicy is 1, but must be a string".to_owned()),
    ];
    for (json, expected) in cases {
        assert_eq!(fault(json), expected);
    }
}

#[test]
#[rustfmt::skip]
fn p188_other_fields_of_the_top_level_are_checked() {
    let config = read(r#"{"healthCheckConfig": {"serviceName": ""}}"#);
    assert_eq!(config.health_check_service.as_deref(), Some(""), "the server as a whole");
    let cases = [
        (r#"{"healthCheckConfig": 1}"#,                                  "healthCheckConfig is 1, but must be an object"),
        (r#"{"healthCheckConfig": {"serviceName": 1}}"#,                 "healthCheckConfig.serviceName is 1, but must be a string"),
        (r#"{"connectionScaling": []}"#,                                 "connectionScaling is [], but must be an object"),
        (r#"{"connectionScaling": {"maxConnectionsPerSubchannel": 0}}"#, "connectionScaling.maxConnectionsPerSubchannel is 0, but must be at least 1"),
        (r#"{"connectionScaling": {"maxConnectionsPerSubchannel": -1}}"#, "connectionScaling.maxConnectionsPerSubchannel is -1, but must be an unsigned integer of 32 bits"),
        (r#"{"connectionScaling": {"maxConnectionsPerSubchannel": 4294967296}}"#, "connectionScaling.maxConnectionsPerSubchannel is 4294967296, but must be an unsigned integer of 32 bits"),
        (r#"{"methodConfig": {}}"#,                                      "methodConfig is {}, but must be a list"),
        (r#"{"methodConfig": [1]}"#,                                     "methodConfig[0] is 1, but must be an object"),
    ];
    for (json, expected) in cases {
        assert_eq!(fault(json), expected);
    }
}

#[test]
#[rustfmt::skip]
fn p177_throttling_in_json_is_checked() {
    let cases = [
        (r#"{"maxTokens": 1, "tokenRatio": 0.001}"#,   1,     0.001),
        (r#"{"maxTokens": 1000, "tokenRatio": 2}"#,    1_000, 2.0),
        (r#"{"maxTokens": 10, "tokenRatio": 0.5466}"#, 10,    0.5466),
    ];
    for (json, max_tokens, token_ratio) in cases {
        let config = read(&format!(r#"{{"retryThrottling": {json}}}"#));
        assert_eq!(config.retry_throttling, Some(RetryThrottling { max_tokens, token_ratio }), "{json}");
    }
    let cases = [
        (r#"1"#,                                        " is 1, but must be an object"),
        (r#"{"tokenRatio": 0.1}"#,                      ".maxTokens is missing, but must be an unsigned integer of 32 bits"),
        (r#"{"maxTokens": 10}"#,                        ".tokenRatio is missing, but must be a number"),
        (r#"{"maxTokens": 0, "tokenRatio": 0.1}"#,      ".maxTokens is 0, but must be 1 to 1000"),
        (r#"{"maxTokens": 1001, "tokenRatio": 0.1}"#,   ".maxTokens is 1001, but must be 1 to 1000"),
        (r#"{"maxTokens": 0.5, "tokenRatio": 0.1}"#,    ".maxTokens is 0.5, but must be an unsigned integer of 32 bits"),
        (r#"{"maxTokens": "10", "tokenRatio": 0.1}"#,   ".maxTokens is \"10\", but must be an unsigned integer of 32 bits"),
        (r#"{"maxTokens": 10, "tokenRatio": 0}"#,       ".tokenRatio is 0.0, but must be a number of at least 0.001"),
        (r#"{"maxTokens": 10, "tokenRatio": 0.0009}"#,  ".tokenRatio is 0.0009, but must be a number of at least 0.001"),
        (r#"{"maxTokens": 10, "tokenRatio": -1}"#,      ".tokenRatio is -1.0, but must be a number of at least 0.001"),
        (r#"{"maxTokens": 10, "tokenRatio": "0.1"}"#,   ".tokenRatio is \"0.1\", but must be a number"),
    ];
    for (json, expected) in cases {
        assert_eq!(fault(&format!(r#"{{"retryThrottling": {json}}}"#)), format!("retryThrottling{expected}"));
    }
}

#[test]
fn p189_every_field_of_a_method_is_read() {
    let config = default_method(
        r#""waitForReady": false,
        "timeout": "10s",
        "maxRequestMessageBytes": 1000,
        "maxResponseMessageBytes": "2000",
        "retryPolicy": {
            "maxAttempts": 7,
            "initialBackoff": "0.1s",
            "maxBackoff": "1s",
            "backoffMultiplier": 2.5,
            "retryableStatusCodes": ["UNAVAILABLE", 10]
        }"#,
    );
    let expected = MethodConfig {
        wait_for_ready: Some(false),
        timeout: Some(Duration::from_secs(10)),
        max_request_bytes: Some(1_000),
        max_response_bytes: Some(2_000),
        attempts: AttemptPolicy::Retry(RetryPolicy {
            max_attempts: 7,
            initial_backoff: Duration::from_millis(100),
            max_backoff: Duration::from_secs(1),
            backoff_multiplier: 2.5,
            retryable_codes: vec![Code::Unavailable, Code::Aborted],
        }),
    };
    assert_eq!(config, expected);
    for text in ["1", "\"true\"", "[]"] {
        let expected = format!("waitForReady is {text}, but must be true or false");
        assert_eq!(
            method_fault(&format!(r#""waitForReady": {text}"#)),
            expected
        );
    }
}

/// A retry policy in which one member is another one, or, if that is empty, not there.
fn retry_policy(name: &str, value: &str) -> String {
    let members = [
        ("maxAttempts", "2"),
        ("initialBackoff", r#""0.1s""#),
        ("maxBackoff", r#""1s""#),
        ("backoffMultiplier", "2"),
        ("retryableStatusCodes", "[14]"),
    ];
    let members = members.map(|(other, usual)| (other, if other == name { value } else { usual }));
    let members = members.iter().filter(|(_, value)| !value.is_empty());
    let members: Vec<_> = members
        .map(|(name, value)| format!("{name:?}: {value}"))
        .collect();
    format!(r#""retryPolicy": {{{}}}"#, members.join(", "))
}

#[test]
#[rustfmt::skip]
fn p169_every_member_of_a_retry_policy_must_be_there_and_good() {
    let (integer, duration, number, long, code) = ("an unsigned integer of 32 bits", "a duration such as \"1.5s\"", "a number", "longer than nothing", "a status code, as a number or a name");
    let cases = [
        ("maxAttempts",          "",                "missing",         integer),
        ("maxAttempts",          "null",            "missing",         integer),
        ("maxAttempts",          "1",               "1",               "at least 2"),
        ("maxAttempts",          "0",               "0",               "at least 2"),
        ("maxAttempts",          "-2",              "-2",              integer),
        ("maxAttempts",          "2.0",             "2.0",             integer),
        ("maxAttempts",          "\"2\"",           "\"2\"",           integer),
        ("maxAttempts",          "4294967296",      "4294967296",      integer),
        ("initialBackoff",       "",                "missing",         duration),
        ("initialBackoff",       "\"0s\"",          "0ns",             long),
        ("initialBackoff",       "\"-1s\"",         "\"-1s\"",         duration),
        ("initialBackoff",       "1",               "1",               duration),
        ("maxBackoff",           "",                "missing",         duration),
        ("maxBackoff",           "\"0.0s\"",        "0ns",             long),
        ("maxBackoff",           "\"1\"",           "\"1\"",           duration),
        ("backoffMultiplier",    "",                "missing",         number),
        ("backoffMultiplier",    "0",               "0.0",             "a number above 0"),
        ("backoffMultiplier",    "-1.5",            "-1.5",            "a number above 0"),
        ("backoffMultiplier",    "\"2\"",           "\"2\"",           number),
        ("retryableStatusCodes", "",                "missing",         "a list"),
        ("retryableStatusCodes", "[]",              "[]",              "a list with at least one failure"),
        ("retryableStatusCodes", "[\"OK\", 0]",     "[]",              "a list with at least one failure"),
        ("retryableStatusCodes", "\"UNAVAILABLE\"", "\"UNAVAILABLE\"", "a list"),
    ];
    for (name, value, found, expected) in cases {
        let expected = format!("retryPolicy.{name} is {found}, but must be {expected}");
        assert_eq!(method_fault(&retry_policy(name, value)), expected);
    }
    for value in ["17", "-1", "14.0", "\"14\"", "\"\"", "\"UNAVAILABLE \"", "\"NOPE\"", "null", "true", "[]"] {
        let found = if value == "null" { "missing" } else { value };
        let expected = format!("retryPolicy.retryableStatusCodes[1] is {found}, but must be {code}");
        assert_eq!(method_fault(&retry_policy("retryableStatusCodes", &format!("[14, {value}]"))), expected);
    }
    assert_eq!(method_fault(r#""retryPolicy": []"#), "retryPolicy is [], but must be an object");
}

#[test]
#[rustfmt::skip]
fn p169_codes_are_numbers_or_names_in_any_case() {
    let codes = |list: &str| {
        let AttemptPolicy::Retry(policy) = default_method(&retry_policy("retryableStatusCodes", list)).attempts else {
            panic!("{list}");
        };
        policy.retryable_codes
    };
    for code in Code::ALL {
        let (number, name) = (code.number(), code.name());
        let list = format!(r#"[{number}, "{name}", "{}"]"#, name.to_lowercase());
        assert_eq!(codes(&list), [code; 3], "{list}");
    }
    assert_eq!(codes(r#"["Resource_Exhausted", 0, "ok", 14]"#), [Code::ResourceExhausted, Code::Unavailable]);
}

#[test]
#[rustfmt::skip]
fn p181_a_hedging_policy_in_json_is_checked() {
    let ms = Duration::from_millis;
    let hedge = |max_attempts, hedging_delay, non_fatal_codes| {
        AttemptPolicy::Hedge(HedgingPolicy { max_attempts, hedging_delay, non_fatal_codes })
    };
    let cases = [
        (r#"{"maxAttempts": 4, "hedgingDelay": "0.5s", "nonFatalStatusCodes": ["UNAVAILABLE", "internal", 10]}"#,
            hedge(4, ms(500), vec![Code::Unavailable, Code::Internal, Code::Aborted])),
        (r#"{"maxAttempts": 2}"#,                                                      hedge(2, ms(0), vec![])),
        (r#"{"maxAttempts": 2, "hedgingDelay": "0s", "nonFatalStatusCodes": []}"#,     hedge(2, ms(0), vec![])),
        (r#"{"maxAttempts": 2, "hedgingDelay": null, "nonFatalStatusCodes": null}"#,   hedge(2, ms(0), vec![])),
        (r#"{"maxAttempts": 99, "initialBackoff": "a retry's field is no field here"}"#, hedge(99, ms(0), vec![])),
    ];
    for (json, expected) in cases {
        assert_eq!(default_method(&format!(r#""hedgingPolicy": {json}"#)).attempts, expected, "{json}");
    }
    let cases = [
        ("1",                                            " is 1, but must be an object"),
        ("{}",                                           ".maxAttempts is missing, but must be an unsigned integer of 32 bits"),
        (r#"{"maxAttempts": 1}"#,                        ".maxAttempts is 1, but must be at least 2"),
        (r#"{"maxAttempts": 2, "hedgingDelay": 1}"#,     ".hedgingDelay is 1, but must be a duration such as \"1.5s\""),
        (r#"{"maxAttempts": 2, "hedgingDelay": "-1s"}"#, ".hedgingDelay is \"-1s\", but must be a duration such as \"1.5s\""),
        (r#"{"maxAttempts": 2, "nonFatalStatusCodes": {}}"#, ".nonFatalStatusCodes is {}, but must be a list"),
        (r#"{"maxAttempts": 2, "nonFatalStatusCodes": [99]}"#, ".nonFatalStatusCodes[0] is 99, but must be a status code, as a number or a name"),
    ];
    for (json, expected) in cases {
        assert_eq!(method_fault(&format!(r#""hedgingPolicy": {json}"#)), format!("hedgingPolicy{expected}"));
    }
}

#[test]
fn p181_a_method_has_one_policy_at_most() {
    let both = format!(
        r#"{}, "hedgingPolicy": {{"maxAttempts": 2}}"#,
        retry_policy("", "")
    );
    let expected = r#"hedgingPolicy is {"maxAttempts":2}, but must be absent beside a retryPolicy"#;
    assert_eq!(method_fault(&both), expected);
}

#[test]
#[rustfmt::skip]
fn p190_the_most_specific_name_counts_by_itself() {
    let json = r#"{"methodConfig": [
        {"name": [{"service": "a.A", "method": "M"}, {"service": "b.B"}], "timeout": "1s"},
        {"name": [{"service": "a.A"}], "timeout": "2s", "waitForReady": true},
        {"name": [{}], "timeout": "3s"}
    ]}"#;
    let cases = [
        ("/a.A/M",     1, None),          // not what its service says besides
        ("/a.A/m",     2, Some(true)),
        ("/a.A/Other", 2, Some(true)),
        ("/b.B/M",     1, None),
        ("/a.a/M",     3, None),
        ("/c.C/M",     3, None),
        ("/x/a.A/M",   3, None),
    ];
    let config = read(json);
    for (name, seconds, wait_for_ready) in cases {
        let found = config.method(&path(name)).unwrap();
        assert_eq!(found.timeout, Some(Duration::from_secs(seconds)), "{name}");
        assert_eq!(found.wait_for_ready, wait_for_ready, "{name}");
    }
    let without_default = ServiceConfig { default_method: None, ..config };
    assert_eq!(without_default.method(&path("/c.C/M")), None);
    assert_eq!(ServiceConfig::default().method(&path("/a.A/M")), None);
}

#[test]
#[rustfmt::skip]
fn p190_the_empty_name_may_be_written_in_many_ways() {
    for name in ["{}", r#"{"service": ""}"#, r#"{"service": null, "method": ""}"#, r#"{"service": "", "method": null, "new": 1}"#] {
        let config = read(&format!(r#"{{"methodConfig": [{{"name": [{name}]}}]}}"#));
        assert_eq!(config.default_method, Some(MethodConfig::default()), "{name}");
    }
    for name in [r#"{"service": "a"}"#, r#"{"service": "a", "method": ""}"#, r#"{"service": "a", "method": null}"#] {
        let config = read(&format!(r#"{{"methodConfig": [{{"name": [{name}]}}]}}"#));
        assert!(config.services.contains_key("a") && config.services.len() == 1, "{name}");
    }
}

#[test]
#[rustfmt::skip]
fn p190_names_that_are_wrong_or_come_twice_void_the_config() {
    let cases = [
        (r#"[{"service": "a"}, {"service": "a"}]"#,                           r#"[1] is {"service":"a"}, but must be unlike all names before it"#),
        (r#"[{"service": "a"}, {"service": "a", "method": ""}]"#,             r#"[1] is {"method":"","service":"a"}, but must be unlike all names before it"#),
        (r#"[{"service": "a", "method": "b"}, {"method": "b", "service": "a"}]"#, r#"[1] is {"method":"b","service":"a"}, but must be unlike all names before it"#),
        (r#"[{}, {"service": ""}]"#,                                          r#"[1] is {"service":""}, but must be unlike all names before it"#),
        (r#"[{"method": "b"}]"#,                                              "[0].service is missing, but must be a service such as package.Service"),
        (r#"[{"service": "", "method": "b"}]"#,                               r#"[0].service is "", but must be a service such as package.Service"#),
        (r#"[{"service": "/a", "method": "b"}]"#,                             r#"[0].service is "/a", but must be a service such as package.Service"#),
        (r#"[{"service": 1}]"#,                                               "[0].service is 1, but must be a string"),
        (r#"[{"service": "a", "method": 1}]"#,                                "[0].method is 1, but must be a string"),
        (r#"["a"]"#,                                                          r#"[0] is "a", but must be an object"#),
        (r#"{}"#,                                                             " is {}, but must be a list"),
    ];
    for (names, expected) in cases {
        assert_eq!(fault(&format!(r#"{{"methodConfig": [{{"name": {names}}}]}}"#)), format!("methodConfig[0].name{expected}"));
    }
    // In different entries too.
    let json = r#"{"methodConfig": [{"name": [{"service": "a"}]}, {"name": [{"service": "b"}, {"service": "a"}]}]}"#;
    assert_eq!(fault(json), r#"methodConfig[1].name[1] is {"service":"a"}, but must be unlike all names before it"#);
}

#[test]
#[rustfmt::skip]
fn p192_unknown_fields_are_no_fault_and_one_bad_field_is() {
    let good = r#"{"new": 1, "MethodConfig": 7, "methodConfig": [{"name": [{}], "Timeout": 5, "timeout": "1s", "new": []}]}"#;
    assert_eq!(read(good).default_method.unwrap().timeout, Some(Duration::from_secs(1)));
    let cases = [
        (r#"{"methodConfig": [{"name": [{}], "timeout": "1s"}, {"name": [{"service": "a"}], "timeout": 5}]}"#,
            r#"methodConfig[1].timeout is 5, but must be a duration such as "1.5s""#),
        // Also where it is for no method.
        (r#"{"methodConfig": [{"timeout": 5}]}"#,              r#"methodConfig[0].timeout is 5, but must be a duration such as "1.5s""#),
        (r#"{"methodConfig": [{"name": [], "waitForReady": 5}]}"#, "methodConfig[0].waitForReady is 5, but must be true or false"),
    ];
    for (json, expected) in cases {
        assert_eq!(fault(json), expected);
    }
}

#[test]
fn p192_a_long_value_is_quoted_in_part() {
    let text = "é".repeat(10_000);
    let fault = method_fault(&format!(r#""timeout": "{text}""#));
    assert!(
        fault.starts_with("timeout is \"éé") && fault.len() < 250,
        "{fault}"
    );
    let record = format!(r#"grpc_config=[{{"{text}": 1}}]"#);
    let error = ServiceConfig::from_dns_choices(&record, "", 0).unwrap_err();
    assert!(error.to_string().len() < 250, "{error}");
}

#[test]
#[rustfmt::skip]
fn p192_what_counts_while_configs_come_and_go() {
    let seconds = |seconds| ServiceConfig {
        default_method: Some(MethodConfig { timeout: Some(Duration::from_secs(seconds)), ..MethodConfig::default() }),
        ..ServiceConfig::default()
    };
    let (default, first, second, empty) = (seconds(9), seconds(1), seconds(2), ServiceConfig::default());
    let bad = || Err(ServiceConfigError::NotJson("bad".to_owned()));
    let (good_1, good_2, none) = (Ok(Some(first.clone())), Ok(Some(second.clone())), Ok(None));
    let good_empty = Ok(Some(empty.clone()));
    let cases = [
        // default        what resolutions bring                   what counts after each; None: the resolution has failed
        (None,            vec![good_1.clone(), bad(), good_2.clone()], vec![Some(&first), Some(&first), Some(&second)]),
        (None,            vec![bad(), good_1.clone(), bad()],      vec![None, Some(&first), Some(&first)]),
        (None,            vec![none.clone(), bad()],               vec![Some(&empty), Some(&empty)]),
        (None,            vec![good_empty.clone(), bad()],         vec![Some(&empty), Some(&empty)]),   // empty is good
        (Some(&default),  vec![bad(), good_1.clone(), none.clone()], vec![Some(&default), Some(&first), Some(&default)]),
        (Some(&default),  vec![good_empty, bad()],                 vec![Some(&empty), Some(&empty)]),
        (Some(&default),  vec![none, bad()],                       vec![Some(&default), Some(&default)]),
    ];
    for (default, brought, expected) in cases {
        let mut config = ConfigInForce::new(default.cloned().map(Arc::new));
        for (brought, expected) in brought.into_iter().zip(expected) {
            let text = format!("{brought:?}");
            let found = config.update(brought).ok();
            assert_eq!(found.as_deref(), expected, "{text}");
        }
    }
}

#[test]
#[rustfmt::skip]
fn p192_a_config_by_code_is_checked() {
    let retry = |max_attempts| MethodConfig {
        attempts: AttemptPolicy::Hedge(HedgingPolicy { max_attempts, hedging_delay: Duration::ZERO, non_fatal_codes: vec![] }),
        ..MethodConfig::default()
    };
    let empty = ServiceConfig::default();
    let methods = |key: &str, config| ServiceConfig { methods: [(key.to_owned(), config)].into(), ..ServiceConfig::default() };
    let services = |key: &str, config| ServiceConfig { services: [(key.to_owned(), config)].into(), ..ServiceConfig::default() };
    let bad_throttling = Some(RetryThrottling { max_tokens: 0, token_ratio: 0.1 });
    let choices = |choice_count| Some(LoadBalancingConfig::LeastRequest { choice_count });
    let cases = [
        (empty.clone(),                       None),
        (methods("/a.A/M", retry(2)),         None),
        (methods("/a.A/M", retry(1)),         Some(r#"methods["/a.A/M"]: max_attempts is 1, but must be at least 2"#)),
        (methods("a.A/M", retry(2)),          Some(r#"methods has the key "a.A/M", but must have paths such as /package.Service/Method"#)),
        (methods("/a.A", retry(2)),           Some(r#"methods has the key "/a.A", but must have paths such as /package.Service/Method"#)),
        (methods("/a.A/", retry(2)),          Some(r#"methods has the key "/a.A/", but must have paths such as /package.Service/Method"#)),
        (methods("//M", retry(2)),            Some(r#"methods has the key "//M", but must have paths such as /package.Service/Method"#)),
        (services("a.A", retry(2)),           None),
        (services("a.A", retry(1)),           Some(r#"services["a.A"]: max_attempts is 1, but must be at least 2"#)),
        (services("/a.A", retry(2)),          Some(r#"services has the key "/a.A", but must have names such as package.Service"#)),
        (services("", retry(2)),              Some(r#"services has the key "", but must have names such as package.Service"#)),
        (ServiceConfig { default_method: Some(retry(0)), ..empty.clone() },            Some("default_method: max_attempts is 0, but must be at least 2")),
        (ServiceConfig { retry_throttling: bad_throttling, ..empty.clone() },          Some("retry_throttling: max_tokens is 0, but must be 1 to 1000")),
        (ServiceConfig { load_balancing: choices(2), ..empty.clone() },                None),
        (ServiceConfig { load_balancing: choices(1), ..empty.clone() },                Some("choice_count is 1, but must be 2 to 10")),
        (ServiceConfig { load_balancing: choices(11), ..empty.clone() },               Some("choice_count is 11, but must be 2 to 10")),
        (ServiceConfig { max_connections_per_address: Some(0), ..empty.clone() },      Some("max_connections_per_address is 0, but must be at least 1")),
    ];
    for (config, flaw) in cases {
        assert_eq!(config.check().err().as_deref(), flaw, "{config:?}");
    }
}

/// What the choice list gives a client on the machine `here`: the name that it would ask the health
/// of, which tells the choices apart.
fn chosen(list: &str, percentile: u8) -> Option<String> {
    let record = format!("grpc_config={list}");
    let config = ServiceConfig::from_dns_choices(&record, "here", percentile);
    let config = config.unwrap_or_else(|error| panic!("{list}: {error}"));
    config.map(|config| config.health_check_service.unwrap())
}

#[test]
#[rustfmt::skip]
fn p194_the_first_choice_for_this_client_counts() {
    let cases = [
        // the conditions of the first choice                    percentile   is it ours?
        ("",                                                      0,           true),
        (r#""clientLanguage": [],"#,                              0,           true),
        (r#""clientLanguage": null,"#,                            0,           true),
        (r#""clientLanguage": ["rust"],"#,                        0,           true),
        (r#""clientLanguage": ["go", "RUST"],"#,                  0,           true),
        (r#""clientLanguage": ["go", "c++"],"#,                   0,           false),
        (r#""percentage": 0,"#,                                   0,           false),
        (r#""percentage": 1,"#,                                   0,           true),
        (r#""percentage": 10,"#,                                  9,           true),
        (r#""percentage": 10,"#,                                  10,          false),
        (r#""percentage": 99,"#,                                  99,          false),
        (r#""percentage": 100,"#,                                 99,          true),
        (r#""clientHostname": [],"#,                              0,           true),
        (r#""clientHostname": ["there", "here"],"#,               0,           true),
        (r#""clientHostname": ["HERE", "here."],"#,               0,           false),   // case counts
        (r#""clientLanguage": ["rust"], "percentage": 50, "clientHostname": ["here"],"#, 49, true),
        (r#""clientLanguage": ["rust"], "percentage": 50, "clientHostname": ["here"],"#, 50, false),
        (r#""clientLanguage": ["java"], "percentage": 50, "clientHostname": ["here"],"#, 49, false),
    ];
    for (conditions, percentile, ours) in cases {
        let choice = |conditions: &str, name: &str| {
            format!(r#"{{{conditions} "serviceConfig": {{"healthCheckConfig": {{"serviceName": "{name}"}}}}}}"#)
        };
        let (first, rest, last) = (choice(conditions, "first"), choice("", "rest"), choice("", "last"));
        let expected = if ours { "first" } else { "rest" };
        assert_eq!(chosen(&format!("[{first}, {rest}, {last}]"), percentile).as_deref(), Some(expected), "{conditions}");
        assert_eq!(chosen(&format!("[{first}]"), percentile).is_some(), ours, "{conditions}");
    }
    assert_eq!(chosen("[]", 0), None);
}

#[test]
#[rustfmt::skip]
fn p194_records_about_something_else_say_nothing() {
    for record in ["", "v=spf1 -all", "grpc_config", "GRPC_CONFIG=[]", " grpc_config=[]"] {
        assert_eq!(ServiceConfig::from_dns_choices(record, "here", 0), Ok(None), "{record}");
    }
}

#[test]
#[rustfmt::skip]
fn p194_a_list_with_a_fault_is_void() {
    let cases = [
        (r#"[{"serviceConfig": {}, "clientLang": ["rust"]}]"#,                 r#"[0].clientLang is ["rust"], but must be absent"#),
        (r#"[{"serviceConfig": {}}, {"serviceConfig": {}, "x": 1}]"#,          "[1].x is 1, but must be absent"),      // the first one would be ours
        (r#"[{}]"#,                                                            "[0].serviceConfig is missing, but must be an object"),
        (r#"[{"serviceConfig": {}}, {}]"#,                                     "[1].serviceConfig is missing, but must be an object"),
        (r#"[{"serviceConfig": []}]"#,                                         "[0].serviceConfig is [], but must be an object"),
        (r#"[{"serviceConfig": {}, "percentage": 101}]"#,                      "[0].percentage is 101, but must be 0 to 100"),
        (r#"[{"serviceConfig": {}, "percentage": -1}]"#,                       "[0].percentage is -1, but must be an unsigned integer of 32 bits"),
        (r#"[{"serviceConfig": {}, "percentage": 5.0}]"#,                      "[0].percentage is 5.0, but must be an unsigned integer of 32 bits"),
        (r#"[{"serviceConfig": {}, "percentage": "5"}]"#,                      r#"[0].percentage is "5", but must be an unsigned integer of 32 bits"#),
        (r#"[{"serviceConfig": {}, "clientLanguage": "rust"}]"#,               r#"[0].clientLanguage is "rust", but must be a list"#),
        (r#"[{"serviceConfig": {}, "clientHostname": [1]}]"#,                  "[0].clientHostname[0] is 1, but must be a string"),
        (r#"[1]"#,                                                             "[0] is 1, but must be an object"),
        (r#"{"serviceConfig": {}}"#,                                           r#"the whole is {"serviceConfig":{}}, but must be a list"#),
        (r#"[{"serviceConfig": {"methodConfig": [{"timeout": 1}]}}]"#,         r#"[0].serviceConfig.methodConfig[0].timeout is 1, but must be a duration such as "1.5s""#),
    ];
    for (list, expected) in cases {
        let error = ServiceConfig::from_dns_choices(&format!("grpc_config={list}"), "here", 0).expect_err(list);
        assert_eq!(error.to_string(), format!("service config: {expected}"));
    }
    let error = ServiceConfig::from_dns_choices("grpc_config=[", "here", 0).unwrap_err();
    assert!(matches!(error, ServiceConfigError::NotJson(_)), "{error}");
    // What is not chosen is for others, and may be beyond us.
    let list = r#"grpc_config=[{"clientLanguage": ["go"], "serviceConfig": {"methodConfig": 1}}, {"serviceConfig": {}}]"#;
    assert_eq!(ServiceConfig::from_dns_choices(list, "here", 0), Ok(Some(ServiceConfig::default())));
}
