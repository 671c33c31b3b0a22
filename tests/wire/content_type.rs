//! `wire::content_type`: P28, P29, P31, P32, P285.

use barewire::wire::ContentType::{self, Grpc, GrpcProto};

#[test]
#[rustfmt::skip]
fn p029_only_grpc_with_protobuf_is_grpc() {
    let cases: &[(&str, Option<ContentType>)] = &[
        ("application/grpc",                     Some(Grpc)),
        ("application/grpc+proto",               Some(GrpcProto)),
        ("application/grpc;charset=utf-8",       Some(Grpc)),
        ("application/grpc+proto;charset=utf-8", Some(GrpcProto)),
        ("application/grpc;",                    Some(Grpc)),
        ("Application/GRPC ; x=1",               Some(Grpc)),       // P285
        ("APPLICATION/GRPC+PROTO",               Some(GrpcProto)),
        ("application/grpc\t;x",                 Some(Grpc)),
        (" application/grpc ",                   Some(Grpc)),
        ("application/grpc+json",                None),             // D6
        ("application/grpc+foo",                 None),
        ("application/grpc+",                    None),
        ("application/grpc+protobuf",            None),
        ("application/grpc+proto+x",             None),
        ("application/grpcfoo",                  None),
        ("application/grpc-web",                 None),
        ("application/grpc-web+proto",           None),
        ("application/grpc/x",                   None),
        ("application/grp",                      None),
        ("application/grpc x",                   None),
        ("application/json",                     None),
        ("text/html; application/grpc",          None),
        ("image/jpeg",                           None),
        (";application/grpc",                    None),
        ("",                                     None),
    ];
    for (value, content_type) in cases {
        assert_eq!(ContentType::parse(value.as_bytes()), *content_type, "{value:?}");
    }
    assert_eq!(ContentType::parse(b"application/gr\xffc"), None);
}

#[test]
fn p032_what_came_is_what_is_sent_in_lower_case() {
    for (content_type, value) in [
        (Grpc, "application/grpc"),
        (GrpcProto, "application/grpc+proto"),
    ] {
        assert_eq!(content_type.header_value(), value);
        assert_eq!(ContentType::parse(value.as_bytes()), Some(content_type));
    }
    assert_eq!(ContentType::default(), Grpc);
}
