//! `client::target`: P24, P195–P199.

use std::path::PathBuf;

use barewire::{Address, Code, Destination, Scheme, Status, Target};

use crate::chance::Chance;

fn parse(text: &str) -> Target {
    let target = Target::parse(text).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(target.text, text);
    target
}

/// The host and port of a target that is to be looked up.
fn name(text: &str) -> (String, u16) {
    match parse(text).destination {
        Destination::Name { host, port, .. } => (host, port),
        other => panic!("{text}: {other:?}"),
    }
}

fn addresses(text: &str) -> Vec<Address> {
    match parse(text).destination {
        Destination::Addresses(addresses) => addresses,
        other => panic!("{text}: {other:?}"),
    }
}

fn tcp(addresses: &[&str]) -> Vec<Address> {
    let addresses = addresses.iter();
    addresses
        .map(|text| Address::Tcp(text.parse().unwrap()))
        .collect()
}

#[test]
#[rustfmt::skip]
fn p195_a_text_without_a_known_scheme_is_a_name_for_dns() {
    let cases = [
        ("localhost:50051", "localhost",  50051),  // a URI of the scheme "localhost", to the letter
        ("foo.bar:1",       "foo.bar",    1),
        ("[::1]:50051",     "::1",        50051),
        ("localhost",       "localhost",  443),
        ("127.0.0.1:65535", "127.0.0.1",  65535),
        ("shop_db-1",       "shop_db-1",  443),
        ("dns",             "dns",        443),
    ];
    for (text, host, port) in cases {
        assert_eq!(parse(text).scheme, Scheme::Dns, "{text}");
        assert_eq!(name(text), (host.to_owned(), port), "{text}");
        assert_eq!(name(&format!("dns:///{text}")), (host.to_owned(), port), "{text}");
    }
}

#[test]
#[rustfmt::skip]
fn p196_a_dns_target_is_a_host_and_perhaps_a_port_and_a_name_server() {
    let cases = [
        ("dns:foo",                     "foo",         443,  None),
        ("dns:foo:80",                  "foo",         80,   None),
        ("dns:/foo:80",                 "foo",         80,   None),
        ("dns:///foo.:80",              "foo.",        80,   None),
        ("DNS:///foo:80",               "foo",         80,   None),  // schemes have no case
        ("dns:///[2001:db8::1]",        "2001:db8::1", 443,  None),
        ("dns:///[fe80::1%2]:80",       "fe80::1%2",   80,   None),
        ("dns://10.0.0.53/foo:80",      "foo",         80,   Some("10.0.0.53")),
        ("dns://10.0.0.53:5353/foo",    "foo",         443,  Some("10.0.0.53:5353")),
        ("http://foo",                  "foo",         80,   None),
        ("http://foo:50051/",           "foo",         50051, None),
        ("HTTP://Foo",                  "Foo",         80,   None),
        ("https://foo",                 "foo",         443,  None),
        ("https://[::1]/",              "::1",         443,  None),
        ("https://foo:00443",           "foo",         443,  None),
    ];
    for (text, host, port, server) in cases {
        let expected = Destination::Name {
            host: host.to_owned(), port, dns_server: server.map(str::to_owned),
        };
        assert_eq!(parse(text).destination, expected, "{text}");
    }
}

#[test]
#[rustfmt::skip]
fn p197_a_unix_target_is_a_path_relative_or_absolute() {
    let cases = [
        ("unix:run/grpc.sock",        "run/grpc.sock"),
        ("unix:/run/grpc.sock",       "/run/grpc.sock"),
        ("unix:///run/grpc.sock",     "/run/grpc.sock"),
        ("unix:/a b/ä.sock",          "/a b/ä.sock"),
        ("unix:/a%20b/100%25",        "/a b/100%"),      // a URI
        ("unix:./localhost:50051",    "./localhost:50051"),
        ("unix:50051",                "50051"),          // a path, strange as it looks
    ];
    for (text, path) in cases {
        assert_eq!(addresses(text), [Address::Unix(PathBuf::from(path))], "{text}");
    }
    let cases: [(&str, &[u8]); 4] = [
        ("unix-abstract:grpc",        b"grpc"),          // the NUL in front is the dialer's
        ("unix-abstract:///grpc",     b"/grpc"),
        ("unix-abstract:a%00b%ff",    b"a\0b\xff"),
        ("unix-abstract:a:b/c",       b"a:b/c"),
    ];
    for (text, name) in cases {
        assert_eq!(addresses(text), [Address::UnixAbstract(name.to_vec())], "{text}");
    }
}

#[test]
#[rustfmt::skip]
fn p198_ipv4_and_ipv6_targets_are_lists() {
    let cases: &[(&str, &[&str])] = &[
        ("ipv4:127.0.0.1",                    &["127.0.0.1:443"]),
        ("ipv4:127.0.0.1:1,127.0.0.2",        &["127.0.0.1:1", "127.0.0.2:443"]),
        ("ipv4:///127.0.0.1:1",               &["127.0.0.1:1"]),
        ("ipv6:[::1]:1,[2001:db8::2]",        &["[::1]:1", "[2001:db8::2]:443"]),
        ("ipv6:::1",                          &["[::1]:443"]),     // without a port, no brackets needed
        ("ipv6:[fe80::1%3]:1",                &["[fe80::1%3]:1"]),
    ];
    for (text, list) in cases {
        assert_eq!(addresses(text), tcp(list), "{text}");
    }
}

#[test]
#[rustfmt::skip]
fn p199_a_passthrough_target_is_handed_on_as_it_stands() {
    let cases = [
        ("passthrough:///localhost:50051", "localhost:50051"),
        ("passthrough:bufnet",             "bufnet"),
        ("passthrough:///shop/%41 b?c",    "shop/%41 b?c"),
    ];
    for (text, named) in cases {
        assert_eq!(addresses(text), [Address::Named(named.to_owned())], "{text}");
    }
}

#[test]
#[rustfmt::skip]
fn p024_the_authority_is_host_and_port_as_written() {
    let cases = [
        // target                          :authority                what certificates are for
        ("http://foo.example",             "foo.example",            "foo.example"),
        ("https://foo.example:443/",       "foo.example:443",        "foo.example"),
        ("https://Foo.example.:8443",      "Foo.example.:8443",      "Foo.example"),
        ("https://[2001:db8::1]:8443",     "[2001:db8::1]:8443",     "2001:db8::1"),
        ("https://[fe80::1%2]:8443",       "[fe80::1]:8443",         "fe80::1"),     // the zone is ours alone
        ("dns:///foo",                     "foo",                    "foo"),
        ("dns://10.0.0.53/foo:1",          "foo:1",                  "foo"),
        ("foo:1",                          "foo:1",                  "foo"),
        ("ipv4:127.0.0.1:1,127.0.0.2:2",   "127.0.0.1:1",            "127.0.0.1"),   // one for all
        ("ipv6:[::1]:1",                   "[::1]:1",                "::1"),
        ("ipv6:::1",                       "[::1]",                  "::1"),
        ("unix:run/grpc.sock",             "localhost",              "localhost"),
        ("unix:///run/grpc.sock",          "localhost",              "localhost"),
        ("unix-abstract:grpc",             "localhost",              "localhost"),
        ("passthrough:///foo:1",           "foo:1",                  "foo"),
        ("passthrough:///[::1]:1",         "[::1]:1",                "::1"),
        ("passthrough:///a b/ü%",          "a%20b%2F%C3%BC%25",      "a b/ü%"),
        ("passthrough:///me@foo",          "me%40foo",               "me@foo"),      // not a user name
    ];
    for (text, authority, server_name) in cases {
        let target = parse(text);
        assert_eq!(target.authority, authority, "{text}");
        assert_eq!(target.server_name, server_name, "{text}");
    }
}

#[test]
fn only_https_says_that_there_is_tls() {
    for text in ["https://a", "HTTPS://a"] {
        assert!(parse(text).implies_tls(), "{text}");
    }
    for text in ["http://a", "dns:///a:443", "a", "ipv4:1.2.3.4", "unix:a"] {
        assert!(!parse(text).implies_tls(), "{text}");
    }
}

#[test]
#[rustfmt::skip]
fn p195_an_error_tells_the_target_what_is_wrong_and_what_would_be_right() {
    let cases = [
        ("",                        "has no host; write localhost for this machine"),
        (":50051",                  "has no host; write localhost for this machine"),
        ("http://",                 "has no host; write localhost for this machine"),
        ("http://:50051",           "has no host; write localhost for this machine"),
        ("dns:///",                 "has no host; write localhost for this machine"),
        ("http:localhost",          "lacks //; write http://host:port"),
        ("http://h/a",              "has a path, but the path of a call is its service and method; write http://h"),
        ("https://h:1/?a=b",        "has a path, but the path of a call is its service and method; write https://h:1"),
        ("https://h?a=b",           "has a query, but the path of a call is its service and method; write https://h"),
        ("https://h#a",             "has a fragment, but the path of a call is its service and method; write https://h"),
        ("h:0",                     "has port \"0\"; a port is 1 to 65535"),
        ("http://h:70000",          "has port \"70000\"; a port is 1 to 65535"),
        ("h:99999999999999999999",  "has port \"99999999999999999999\"; a port is 1 to 65535"),
        ("h:+1",                    "has port \"+1\"; a port is 1 to 65535"),
        ("h:http",                  "has port \"http\"; a port is 1 to 65535"),
        ("h:",                      "has a colon and no port; leave the colon out or write a port"),
        ("h:1:2",                   "has more than one port; write host:port"),
        ("http://::1:50051",        "has an IPv6 address without brackets; write it as [::1]:50051"),
        ("::1",                     "has an IPv6 address without brackets; write it as [::1]:50051"),
        ("[::1",                    "has a [ without its ]; write an IPv6 address as [::1]:50051"),
        ("[h]:1",                   "has \"h\" in brackets, which is no IPv6 address; write one as [::1]:50051"),
        ("[fe80::1%eth0]:1",        "has \"fe80::1%eth0\" in brackets, which is no IPv6 address; write one as [::1]:50051"),
        ("[::1]50051",              "has \"50051\" behind the brackets; write [::1]:port"),
        ("a b:1",                   "has ' ' in its host; a host is letters, digits, '-', '.' and '_'"),
        ("dns:///h:1/",             "has port \"1/\"; a port is 1 to 65535"),
        ("dns:///h/",               "has '/' in its host; a host is letters, digits, '-', '.' and '_'"),
        ("bücher.example",          "has 'ü' in its host; write the name in its ASCII form, which begins with xn--"),
        ("dns://h:1",               "has a name server and no host; write dns:///h:1"),
        ("htps://h:1",              "has the scheme \"htps\"; known are http, https, dns, ipv4, ipv6, passthrough, unix and unix-abstract"),
        ("/run/grpc.sock",          "is neither host nor URL; write unix:/run/grpc.sock if it is the path of a socket"),
        ("ipv4:",                   "has \"\", which is no ipv4 address; write ipv4:127.0.0.1:50051,127.0.0.1:50052"),
        ("ipv4:h:1",                "has \"h\", which is no ipv4 address; write ipv4:127.0.0.1:50051,127.0.0.1:50052"),
        ("ipv4:[::1]:1",            "has \"::1\", which is no ipv4 address; write ipv4:127.0.0.1:50051,127.0.0.1:50052"),
        ("ipv6:1.2.3.4:1",          "has \"1.2.3.4\", which is no ipv6 address; write ipv6:[::1]:50051,[::1]:50052"),
        ("ipv4:1.2.3.4:1,",         "has \"\", which is no ipv4 address; write ipv4:127.0.0.1:50051,127.0.0.1:50052"),
        ("ipv4:1.2.3.4:0",          "has port \"0\"; a port is 1 to 65535"),
        ("ipv4://a/1.2.3.4",        "has an authority, but ipv4 takes none; write ipv4:a/1.2.3.4"),
        ("unix:",                   "has no path; write unix:path or unix:///path"),
        ("unix://run/grpc.sock",    "has an authority, but unix takes none; write unix:run/grpc.sock or unix:///run/grpc.sock"),
        ("unix:/a?b",               "has a ? in its path; write it as %3F"),
        ("unix:/a#b",               "has a # in its path; write it as %23"),
        ("unix:/100%",              "has a % without two hex digits; write %25 for the sign itself"),
        ("unix:/a%+1",              "has a % without two hex digits; write %25 for the sign itself"),
        ("unix:%00a",               "has a NUL byte in its path; write unix-abstract:name for an abstract name"),
        ("unix:%ff",                "has a path that is not UTF-8; such a socket cannot be named here"),
        ("unix-abstract:",          "has no name; write unix-abstract:name"),
        ("unix-abstract://a/b",     "has an authority, but unix-abstract takes none; write unix-abstract:a/b"),
        ("passthrough:///",         "has no text; write passthrough:///address"),
        ("passthrough://a/b",       "has an authority, but passthrough takes none; write passthrough:///a/b"),
    ];
    for (text, problem) in cases {
        let error = Target::parse(text).unwrap_err();
        assert_eq!(error.to_string(), format!("target {text:?} {problem}"));
        assert_eq!(Status::from(error).code, Code::Internal);
    }
}

#[test]
fn a_password_is_in_no_error() {
    let urls = [
        "http://me:secret@h:1",
        "http://me:secret@h:1/path",
        "https://me:sec#secret@h",
        "http://me:sec/secret@h",
        "dns:///me:secret@h",
        "me:secret@h:1",
        "me:secret://x@h",
        "ipv4:me:secret@127.0.0.1",
        "ipv4://me:secret@h/1.2.3.4",
        "dns://me:secret@h",
        "unix://me:secret@h/a",
        "unix-abstract://me:secret@h/a",
        "passthrough://me:secret@h/a",
        "/me:secret@h",
    ];
    for url in urls {
        let error = Target::parse(url).unwrap_err();
        assert!(
            !format!("{error} {error:?}").contains("secret"),
            "{url}: {error}"
        );
    }
    let error = Target::parse("http://me:secret@h:1").unwrap_err();
    let text = "target \"http://…@h:1\" has a user name, which gRPC does not send; \
                write http://h:1 and put credentials into metadata";
    assert_eq!(error.to_string(), text);
}

#[test]
fn whatever_is_read_can_be_dialled_and_nothing_panics() {
    #[rustfmt::skip]
    let pieces = [
        "http:", "https:", "dns:", "ipv4:", "ipv6:", "unix:", "unix-abstract:", "passthrough:",
        "//", "/", ":", ":1", ":443", "[", "]", "[::1]", "::1", "1.2.3.4", "h", "h.example", "%", "%41",
        "%2", "@", ",", "?", "#", " ", "ü", "\0",
    ];
    let mut chance = Chance(7);
    for _ in 0..50_000 {
        let count = chance.below(7);
        let text: String = (0..count).map(|_| *chance.of(&pieces)).collect();
        let Ok(target) = Target::parse(&text) else {
            continue;
        };
        assert!(
            target.authority.bytes().all(|byte| byte.is_ascii_graphic()),
            "{text:?}"
        );
        assert!(
            !target.authority.is_empty() && !target.server_name.is_empty(),
            "{text:?}"
        );
        // Only passthrough has texts that need an authority from elsewhere: `http` takes no % in hosts.
        if target.scheme != Scheme::Passthrough {
            target.authority.parse::<http::uri::Authority>().unwrap();
        }
        match target.destination {
            Destination::Name { host, port, .. } => {
                assert!(!host.is_empty() && port > 0, "{text:?}")
            }
            Destination::Addresses(addresses) => assert!(!addresses.is_empty(), "{text:?}"),
        }
    }
}
