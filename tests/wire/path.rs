//! `wire::path`: P19–P22.

use barewire::wire::{Code, MethodPath, WireError};
use http::uri::PathAndQuery;

fn parse(path: &str) -> Result<MethodPath, WireError> {
    MethodPath::parse(PathAndQuery::try_from(path).unwrap())
}

#[test]
#[rustfmt::skip]
fn p020_a_path_is_split_at_its_last_slash_and_taken_byte_for_byte() {
    let cases: &[(&str, &str, &str)] = &[
        ("/helloworld.Greeter/SayHello", "helloworld.Greeter", "SayHello"),
        ("/Contact/Assign",              "Contact",            "Assign"),       // P19: no package
        ("/helloworld.greeter/sayHello", "helloworld.greeter", "sayHello"),     // another method
        ("/a/b/C",                       "a/b",                "C"),
        ("//b/C",                        "/b",                 "C"),
        ("/S/M%20x",                     "S",                  "M%20x"),        // not decoded
        ("/S/M?x=1",                     "S",                  "M?x=1"),        // P21: no query
        ("/S/M?x/y",                     "S/M?x",              "y"),
        ("/S?/M",                        "S?",                 "M"),
        ("/?x/y",                        "?x",                 "y"),
    ];
    for (path, service, method) in cases {
        let parsed = parse(path).unwrap();
        assert_eq!((parsed.service(), parsed.method()), (*service, *method), "{path}");
        assert_eq!(parsed.as_str(), *path);
        assert_eq!(format!("{parsed} {parsed:?}"), format!("{path} {path:?}"));
    }
}

#[test]
#[rustfmt::skip]
fn p022_a_path_without_two_names_is_unimplemented() {
    for path in ["/", "*", "/S", "/S/", "//M", "//", "/S/M/"] {
        let error = match parse(path) {
            Err(error) => error,
            // P20: a slash at the end is not forgiven; it leaves a method without a name.
            Ok(parsed) => panic!("{path} became {parsed}"),
        };
        assert_eq!(error, WireError::InvalidPath(path.into()));
        assert_eq!(error.code(), Code::Unimplemented);
        assert_eq!(error.to_string(), format!("path {path:?} is not /service/method"));
    }
}

/// Not as P20 wants it, but out of our hands; this test tells when that changes.
#[test]
fn a_fragment_is_cut_off_before_it_gets_here() {
    assert_eq!(parse("/S/M#x").unwrap().as_str(), "/S/M");
}

#[test]
fn p023_what_is_unknown_is_named_and_cut_where_it_is_long() {
    let path = |text: String| MethodPath::parse(text.parse().unwrap()).unwrap();
    let short = path("/pkg.Svc/Method".to_owned());
    assert_eq!(
        short.unknown_service().to_string(),
        "there is no service pkg.Svc"
    );
    assert_eq!(
        short.unknown_method().to_string(),
        "pkg.Svc has no method Method"
    );
    let long = path(format!("/{}/{}", "s".repeat(4_000), "m".repeat(4_000)));
    let (service, method) = ("s".repeat(64), "m".repeat(64));
    assert_eq!(
        long.unknown_service().to_string(),
        format!("there is no service {service}…")
    );
    assert_eq!(
        long.unknown_method().to_string(),
        format!("{service}… has no method {method}…")
    );
}
