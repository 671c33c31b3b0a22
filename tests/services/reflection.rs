//! `grpc.reflection.v1.ServerReflection` and its elder `v1alpha`. Their rules are in the reflection
//! document and in gRFC A15; where those are silent, grpc-go shows what tools expect.

use std::collections::BTreeMap;
use std::path::Path;

use barewire::services::{Health, Reflection};
use barewire::{Server, ServerCall, ServerConfig, Service, Serving};
use prost::Message;
use protox::file::{ChainFileResolver, File, FileResolver, GoogleFileResolver};
use protox::prost_reflect::DescriptorPool;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::conversation::{Conversation, End, client_of};
use crate::reflection_v1::server_reflection_request::MessageRequest as Ask;
use crate::reflection_v1::server_reflection_response::MessageResponse as Answer;
use crate::reflection_v1::{
    ErrorResponse, ExtensionNumberResponse, ExtensionRequest, ServerReflectionRequest,
    ServerReflectionResponse,
};
use crate::reflection_v1alpha as v1alpha;
use crate::support::{Client, PATIENCE, connect};
use crate::tokio;

const V1: &str = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
const V1ALPHA: &str = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo";

const SOURCES: &[(&str, &str)] = &[
    (
        "base.proto",
        r#"syntax = "proto2";
        package base;
        message Base {
            optional int32 id = 1;
            extensions 100 to 200;
            message Inner { extensions 5 to 9; }
        }
        message Closed { optional Base base = 1; }"#,
    ),
    (
        "left.proto",
        r#"syntax = "proto2";
        package left;
        import "base.proto";
        extend base.Base { optional string label = 110; }
        message Left {
            extend base.Base { optional Left left = 105; }
            extend base.Base.Inner { optional int32 deep = 5; }
        }"#,
    ),
    (
        "right.proto",
        r#"syntax = "proto2";
        package right;
        import "base.proto";
        message Right { optional base.Base base = 1; }
        extend base.Base { optional Right right = 199; }"#,
    ),
    (
        "shop/orders.proto",
        r#"syntax = "proto3";
        package shop.v1;
        import "left.proto";
        import "right.proto";
        import "google/protobuf/descriptor.proto";
        extend google.protobuf.MessageOptions { string note = 50001; }
        service Orders {
            rpc Place(Order) returns (Receipt);
            rpc Watch(Order) returns (stream Receipt);
        }
        message Order {
            option (note) = "an option that only this file knows";
            string id = 1;
            oneof payment { string card = 2; left.Left left = 3; }
            optional int32 tip = 4;
            map<string, int32> counts = 5;
            enum State { NEW = 0; PAID = 1; }
            message Line { message Discount { right.Right right = 1; } }
        }
        message Receipt {}
        enum Colour { RED = 0; BLUE = 1; }"#,
    ),
    (
        "bare.proto",
        r#"syntax = "proto3"; message Bare {} service Plain {}"#,
    ),
];

struct Sources;

impl FileResolver for Sources {
    fn resolve_path(&self, path: &Path) -> Option<String> {
        path.to_str().map(str::to_owned)
    }

    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        let source = SOURCES.iter().find(|(known, _)| *known == name);
        let (name, text) = source.ok_or_else(|| protox::Error::file_not_found(name))?;
        File::from_source(name, text)
    }
}

/// The descriptors of a file and of all that it imports.
fn descriptor_set(file: &str) -> &'static [u8] {
    let mut resolver = ChainFileResolver::new();
    resolver.add(Sources);
    resolver.add(GoogleFileResolver::new());
    let mut compiler = protox::Compiler::with_file_resolver(resolver);
    compiler.include_imports(true).open_file(file).unwrap();
    compiler.encode_file_descriptor_set().leak()
}

/// `FileDescriptorSet`, whose files stay bytes; and what there is to know of a file.
#[derive(Clone, PartialEq, Message)]
struct RawSet {
    #[prost(bytes = "vec", repeated, tag = "1")]
    file: Vec<Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
struct FileName {
    #[prost(string, tag = "1")]
    name: String,
}

fn name_of(descriptor: &[u8]) -> String {
    FileName::decode(descriptor).unwrap().name
}

/// A service that has descriptors and serves nothing.
struct Described(&'static str, &'static [u8]);

impl Service for Described {
    fn name(&self) -> &'static str {
        self.0
    }

    fn serve(&self, call: ServerCall) -> Serving<'_> {
        Box::pin(async move { Err(call.unknown_method()) })
    }

    fn file_descriptor_set(&self) -> &'static [u8] {
        self.1
    }
}

fn shop() -> Server {
    Server::new()
        .add(Described(
            "shop.v1.Orders",
            descriptor_set("shop/orders.proto"),
        ))
        .add(Described("Plain", descriptor_set("bare.proto")))
        .reflection()
}

fn question(ask: Ask) -> ServerReflectionRequest {
    ServerReflectionRequest {
        host: String::new(),
        message_request: Some(ask),
    }
}

fn file(name: &str) -> Ask {
    Ask::FileByFilename(name.to_owned())
}

fn symbol(name: &str) -> Ask {
    Ask::FileContainingSymbol(name.to_owned())
}

fn extension(containing_type: &str, extension_number: i32) -> Ask {
    Ask::FileContainingExtension(ExtensionRequest {
        containing_type: containing_type.to_owned(),
        extension_number,
    })
}

fn extensions_of(name: &str) -> Ask {
    Ask::AllExtensionNumbersOfType(name.to_owned())
}

fn list() -> Ask {
    Ask::ListServices(String::new())
}

/// A stream of questions and answers.
struct Inquiry(Conversation);

impl Inquiry {
    async fn start(client: &Client, path: &str) -> Self {
        Self(Conversation::start(client, path).await)
    }

    async fn ask(&mut self, ask: Ask) -> Answer {
        self.0.say(&question(ask));
        let answer: ServerReflectionResponse = self.0.hear().await.expect("an answer");
        answer.message_response.expect("an answer with content")
    }

    /// The files that an answer brings; the code if it is an error.
    async fn files(&mut self, ask: Ask) -> Result<Vec<Vec<u8>>, i32> {
        match self.ask(ask).await {
            Answer::FileDescriptorResponse(files) => Ok(files.file_descriptor_proto),
            Answer::ErrorResponse(error) => Err(error.error_code),
            other => panic!("{other:?}"),
        }
    }

    /// The names of these files, the first first, the others sorted.
    async fn file_names(&mut self, ask: Ask) -> Result<Vec<String>, i32> {
        let files = self.files(ask).await?;
        let mut names: Vec<_> = files.iter().map(|file| name_of(file)).collect();
        names[1..].sort();
        Ok(names)
    }

    async fn services(&mut self) -> Vec<String> {
        match self.ask(list()).await {
            Answer::ListServicesResponse(list) => list
                .service
                .into_iter()
                .map(|service| service.name)
                .collect(),
            other => panic!("{other:?}"),
        }
    }

    async fn numbers(&mut self, name: &str) -> Result<Vec<i32>, i32> {
        match self.ask(extensions_of(name)).await {
            Answer::AllExtensionNumbersResponse(ExtensionNumberResponse {
                base_type_name,
                extension_number,
            }) => {
                assert_eq!(base_type_name, name);
                Ok(extension_number)
            }
            Answer::ErrorResponse(error) => Err(error.error_code),
            other => panic!("{other:?}"),
        }
    }

    async fn end(mut self) -> End {
        self.0.say_no_more();
        self.0.end().await
    }
}

fn ended_well() -> End {
    End {
        code: 0,
        text: String::new(),
    }
}

#[tokio::test]
async fn p219_both_versions_give_the_same_bytes_for_the_same_questions() {
    let client = client_of(shop()).await;
    let mut v1 = Conversation::start(&client, V1).await;
    let mut elder = Conversation::start(&client, V1ALPHA).await;
    let asks = [
        list(),
        symbol("shop.v1.Orders"),
        symbol("nothing.at.All"),
        file("base.proto"),
        extension("base.Base", 105),
        extensions_of("base.Base"),
    ];
    for ask in asks {
        v1.say(&question(ask.clone()));
        elder.say(&question(ask.clone()));
        let answer = v1.hear_bytes().await.unwrap();
        assert_eq!(elder.hear_bytes().await.unwrap(), answer, "{ask:?}");
    }
}

#[tokio::test]
async fn p219_a_client_that_knows_v1alpha_only_is_served() {
    let client = client_of(shop()).await;
    let mut call = Conversation::start(&client, V1ALPHA).await;
    let asked = v1alpha::ServerReflectionRequest {
        host: "here".to_owned(),
        message_request: Some(
            v1alpha::server_reflection_request::MessageRequest::FileContainingSymbol(
                "grpc.reflection.v1alpha.ServerReflection".to_owned(),
            ),
        ),
    };
    call.say(&asked);
    let answer: v1alpha::ServerReflectionResponse = call.hear().await.unwrap();
    assert_eq!(answer.valid_host, "here");
    assert_eq!(answer.original_request, Some(asked));
    let files = match answer.message_response {
        Some(v1alpha::server_reflection_response::MessageResponse::FileDescriptorResponse(
            files,
        )) => files.file_descriptor_proto,
        other => panic!("{other:?}"),
    };
    let name = "grpc/reflection/v1alpha/reflection.proto";
    assert_eq!(
        files.iter().map(|file| name_of(file)).collect::<Vec<_>>(),
        [name]
    );
    call.say_no_more();
    assert_eq!(call.end().await, ended_well());
}

#[tokio::test]
async fn p220_answers_come_one_by_one_in_order_with_question_and_host() {
    let client = client_of(shop()).await;
    let mut call = Conversation::start(&client, V1).await;
    let asks = [
        list(),
        symbol("shop.v1.Order"),
        symbol("?"),
        file("?"),
        extensions_of("?"),
    ];
    let questions: Vec<_> = asks
        .iter()
        .cycle()
        .take(40)
        .enumerate()
        .map(|(number, ask)| ServerReflectionRequest {
            host: format!("host {number}"),
            message_request: Some(ask.clone()),
        })
        .collect();
    for question in &questions {
        call.say(question);
    }
    call.say_no_more();
    for question in questions {
        let answer: ServerReflectionResponse = call.hear().await.expect("an answer");
        assert_eq!(answer.valid_host, question.host);
        assert_eq!(answer.original_request, Some(question));
    }
    assert_eq!(call.end().await, ended_well());
}

#[tokio::test]
#[rustfmt::skip]
async fn p221_a_miss_is_an_answer_and_the_stream_goes_on() {
    let client = client_of(shop()).await;
    let mut inquiry = Inquiry::start(&client, V1).await;
    let cases = [
        (symbol("shop.v1.Nothing"),          "no file declares this symbol"),
        (symbol(""),                         "no file declares this symbol"),
        (file("nothing.proto"),              "there is no file of this name"),
        (extension("base.Base", 111),        "no file declares this extension"),
        (extension("base.Nothing", 105),     "no file declares this extension"),
        (extensions_of("base.Nothing"),      "no file declares a message of this name"),
    ];
    for (ask, text) in cases {
        let expected = ErrorResponse { error_code: 5, error_message: text.to_owned() };
        assert_eq!(inquiry.ask(ask.clone()).await, Answer::ErrorResponse(expected), "{ask:?}");
    }
    assert!(!inquiry.services().await.is_empty());
    assert_eq!(inquiry.end().await, ended_well());
}

#[tokio::test]
#[rustfmt::skip]
async fn p222_symbols_are_all_that_a_file_declares_by_their_full_names() {
    let client = client_of(shop()).await;
    let mut inquiry = Inquiry::start(&client, V1).await;
    let cases = [
        ("shop.v1.Orders",                   Some("shop/orders.proto")),  // service
        ("shop.v1.Orders.Place",             Some("shop/orders.proto")),  // method
        ("shop.v1.Order",                    Some("shop/orders.proto")),  // message
        ("shop.v1.Order.Line.Discount",      Some("shop/orders.proto")),  // message in a message in one
        ("shop.v1.Order.Line.Discount.right", Some("shop/orders.proto")),
        ("shop.v1.Order.id",                 Some("shop/orders.proto")),  // field
        ("shop.v1.Order.card",               Some("shop/orders.proto")),  // field of a oneof, beside it
        ("shop.v1.Order.payment",            Some("shop/orders.proto")),  // oneof
        ("shop.v1.Order._tip",               Some("shop/orders.proto")),  // oneof of an optional field
        ("shop.v1.Order.CountsEntry",        Some("shop/orders.proto")),  // message of a map
        ("shop.v1.Order.CountsEntry.key",    Some("shop/orders.proto")),
        ("shop.v1.Order.State",              Some("shop/orders.proto")),  // enum in a message
        ("shop.v1.Order.PAID",               Some("shop/orders.proto")),  // its value, beside it
        ("shop.v1.Colour",                   Some("shop/orders.proto")),  // enum
        ("shop.v1.BLUE",                     Some("shop/orders.proto")),  // its value
        ("shop.v1.note",                     Some("shop/orders.proto")),  // extension
        ("left.label",                       Some("left.proto")),
        ("left.Left.left",                   Some("left.proto")),         // extension in a message
        ("base.Base.Inner",                  Some("base.proto")),
        ("Plain",                            Some("bare.proto")),         // no package
        ("Bare",                             Some("bare.proto")),
        ("google.protobuf.FieldOptions",     Some("google/protobuf/descriptor.proto")),
        ("grpc.reflection.v1.ServerReflection", Some("grpc/reflection/v1/reflection.proto")),
        (".shop.v1.Orders",                  None),  // no leading dot
        ("shop.v1.Orders.",                  None),
        ("shop.v1",                          None),  // a package is in many files
        ("Orders",                           None),
        ("shop.v1.orders",                   None),
        ("shop.v1.Colour.RED",               None),  // beside the enum, not in it
        ("shop.v1.Order.payment.card",       None),
        ("base.Base.label",                  None),  // named where it is declared, not where it goes
    ];
    for (name, expected) in cases {
        let found = inquiry.files(symbol(name)).await.map(|files| name_of(&files[0]));
        assert_eq!(found, expected.map(str::to_owned).ok_or(5), "{name:?}");
    }
}

#[tokio::test]
#[rustfmt::skip]
async fn p222_an_extension_is_found_by_its_type_and_number() {
    let client = client_of(shop()).await;
    let mut inquiry = Inquiry::start(&client, V1).await;
    let cases = [
        ("base.Base",                       105,   Ok("left.proto")),         // declared in a message
        ("base.Base",                       110,   Ok("left.proto")),
        ("base.Base",                       199,   Ok("right.proto")),
        ("base.Base.Inner",                 5,     Ok("left.proto")),
        ("google.protobuf.MessageOptions",  50001, Ok("shop/orders.proto")),
        ("base.Base",                       1,     Err(5)),                   // a field
        ("base.Base",                       -1,    Err(5)),
        (".base.Base",                      105,   Err(5)),
        ("base.Closed",                     105,   Err(5)),
    ];
    for (name, number, expected) in cases {
        let found = inquiry.files(extension(name, number)).await.map(|files| name_of(&files[0]));
        assert_eq!(found, expected.map(str::to_owned), "{name} {number}");
    }
}

#[tokio::test]
async fn p223_a_file_comes_with_all_that_it_imports_and_what_was_sent_stays_away() {
    let client = client_of(shop()).await;
    let mut inquiry = Inquiry::start(&client, V1).await;
    let mut first = Inquiry::start(&client, V1).await;
    let base = Ok(vec!["base.proto".to_owned()]);
    assert_eq!(inquiry.file_names(file("base.proto")).await, base);

    let asked = |names: &[&str]| Ok(names.iter().map(|name| (*name).to_owned()).collect());
    let google = "google/protobuf/descriptor.proto";
    let rest = ["shop/orders.proto", google, "left.proto", "right.proto"];
    assert_eq!(
        inquiry.file_names(symbol("shop.v1.Order")).await,
        asked(&rest)
    );
    // What is asked for comes again, and alone.
    assert_eq!(
        inquiry.file_names(symbol("shop.v1.Order")).await,
        asked(&rest[..1])
    );
    assert_eq!(
        inquiry.file_names(extension("base.Base", 105)).await,
        asked(&["left.proto"])
    );
    assert_eq!(inquiry.file_names(file("base.proto")).await, base);

    // Another stream has another memory. base.proto comes once, though two files import it.
    let whole = [
        "shop/orders.proto",
        "base.proto",
        google,
        "left.proto",
        "right.proto",
    ];
    assert_eq!(
        first.file_names(symbol("shop.v1.Orders.Place")).await,
        asked(&whole)
    );
}

#[tokio::test]
async fn p223_one_answer_is_enough_to_understand_the_asked_file() {
    let client = client_of(shop()).await;
    let mut inquiry = Inquiry::start(&client, V1).await;
    let files = inquiry.files(symbol("shop.v1.Orders")).await.unwrap();
    let mut pool = DescriptorPool::new();
    pool.decode_file_descriptor_set(&*RawSet { file: files }.encode_to_vec())
        .unwrap();
    let orders = pool.get_service_by_name("shop.v1.Orders").unwrap();
    let methods: Vec<_> = orders
        .methods()
        .map(|method| method.full_name().to_owned())
        .collect();
    assert_eq!(methods, ["shop.v1.Orders.Place", "shop.v1.Orders.Watch"]);
}

#[tokio::test]
async fn p223_files_come_byte_for_byte_as_they_were_compiled() {
    let client = client_of(shop()).await;
    let mut inquiry = Inquiry::start(&client, V1).await;
    let set = RawSet::decode(descriptor_set("shop/orders.proto")).unwrap();
    let compiled: BTreeMap<_, _> = set
        .file
        .into_iter()
        .map(|file| (name_of(&file), file))
        .collect();
    let option = b"an option that only this file knows";
    let kept = |file: &[u8]| file.windows(option.len()).any(|window| window == option);
    assert!(kept(&compiled["shop/orders.proto"]));

    let files = inquiry.files(file("shop/orders.proto")).await.unwrap();
    let sent: BTreeMap<_, _> = files
        .into_iter()
        .map(|file| (name_of(&file), file))
        .collect();
    assert!(sent == compiled);
}

#[tokio::test]
async fn p223_services_may_share_files() {
    let left = descriptor_set("left.proto");
    let right = descriptor_set("right.proto");
    let server = Server::new()
        .add(Described("a.A", left))
        .add(Described("b.B", right))
        .add(Described("c.C", left))
        .reflection();
    let client = client_of(server).await;
    let mut inquiry = Inquiry::start(&client, V1).await;
    let names = |names: &[&str]| Ok(names.iter().map(|name| (*name).to_owned()).collect());
    let expected = names(&["left.proto", "base.proto"]);
    assert_eq!(inquiry.file_names(symbol("left.Left")).await, expected);
    // It knows the extensions of all of the files.
    assert_eq!(inquiry.numbers("base.Base").await, Ok(vec![105, 110, 199]));
    assert_eq!(
        inquiry.file_names(symbol("right.Right")).await,
        names(&["right.proto"])
    );
}

#[tokio::test]
async fn p223_an_import_that_nobody_has_is_left_out() {
    let set = RawSet::decode(descriptor_set("left.proto")).unwrap();
    let file = set
        .file
        .into_iter()
        .filter(|file| name_of(file) == "left.proto")
        .collect();
    let alone = RawSet { file }.encode_to_vec().leak();
    let client = client_of(Server::new().add(Described("a.A", alone)).reflection()).await;
    let mut inquiry = Inquiry::start(&client, V1).await;
    let expected = Ok(vec!["left.proto".to_owned()]);
    assert_eq!(inquiry.file_names(symbol("left.Left")).await, expected);
}

#[tokio::test]
async fn p224_the_list_has_every_service_of_the_server_sorted() {
    let server = Server::new()
        .add(Described(
            "shop.v1.Orders",
            descriptor_set("shop/orders.proto"),
        ))
        .add(Described("by.Hand", &[]))
        .add(Health::new())
        .reflection();
    let client = client_of(server).await;
    let expected = [
        "by.Hand",
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
        "shop.v1.Orders",
    ];
    for path in [V1, V1ALPHA] {
        let mut inquiry = Inquiry::start(&client, path).await;
        assert_eq!(inquiry.services().await, expected);
        // The text of the question has no meaning.
        let Answer::ListServicesResponse(list) =
            inquiry.ask(Ask::ListServices("by.Hand".to_owned())).await
        else {
            panic!("no list")
        };
        assert_eq!(list.service.len(), expected.len());
        // What was compiled into the crate can be described as any other.
        let health = inquiry
            .file_names(symbol("grpc.health.v1.Health.Watch"))
            .await;
        assert_eq!(health, Ok(vec!["grpc/health/v1/health.proto".to_owned()]));
        assert_eq!(inquiry.files(symbol("by.Hand")).await, Err(5));
    }
}

#[tokio::test]
#[rustfmt::skip]
async fn p225_the_extension_numbers_of_a_message_are_sorted_and_may_be_none() {
    let client = client_of(shop()).await;
    let mut inquiry = Inquiry::start(&client, V1).await;
    let cases: [(&str, Result<&[i32], i32>); 9] = [
        ("base.Base",                      Ok(&[105, 110, 199])),
        ("base.Base.Inner",                Ok(&[5])),
        ("google.protobuf.MessageOptions", Ok(&[50001])),
        ("base.Closed",                    Ok(&[])),
        ("shop.v1.Order.Line",             Ok(&[])),
        ("shop.v1.Colour",                 Err(5)),  // no message
        ("shop.v1.Orders",                 Err(5)),
        ("base.Nothing",                   Err(5)),
        (".base.Base",                     Err(5)),
    ];
    for (name, expected) in cases {
        assert_eq!(inquiry.numbers(name).await, expected.map(<[i32]>::to_vec), "{name}");
    }
}

#[tokio::test]
async fn p225_a_question_that_asks_nothing_ends_the_stream() {
    let client = client_of(shop()).await;
    // Nothing at all; a host alone; a question of a later version, with number 9.
    for nothing in [&b""[..], b"\x0a\x01h", b"\x4a\x01x"] {
        let mut inquiry = Inquiry::start(&client, V1).await;
        inquiry.services().await;
        inquiry.0.say_bytes(nothing);
        let expected = End {
            code: 3,
            text: "the reflection request asks nothing that this server knows of".to_owned(),
        };
        assert_eq!(inquiry.0.end().await, expected, "{nothing:02x?}");
    }
}

#[tokio::test]
async fn a_stream_without_questions_ends_well() {
    let client = client_of(shop()).await;
    let inquiry = Inquiry::start(&client, V1).await;
    assert_eq!(inquiry.end().await, ended_well());
}

#[tokio::test]
async fn descriptors_that_are_none_are_left_out_and_the_rest_is_served() {
    let file = vec![b"\x0a\xff".to_vec()];
    let bad_file: &'static [u8] = RawSet { file }.encode_to_vec().leak();
    let server = Server::new()
        .add(Described("bad.Set", b"\x0a\x7f"))
        .add(Described("bad.File", bad_file))
        .add(Described("good.Service", descriptor_set("bare.proto")))
        .reflection();
    let client = client_of(server).await;
    let mut inquiry = Inquiry::start(&client, V1).await;
    assert_eq!(
        inquiry.services().await[..3],
        ["bad.File", "bad.Set", "good.Service"]
    );
    assert_eq!(
        inquiry.file_names(symbol("Bare")).await,
        Ok(vec!["bare.proto".to_owned()])
    );
}

#[tokio::test]
async fn one_server_can_tell_of_another() {
    let public = Server::new().add(Described("shop.v1.Orders", &[]));
    let [v1, v1alpha] = Reflection::of(&public);
    let client = client_of(Server::new().add(v1).add(v1alpha)).await;
    let mut inquiry = Inquiry::start(&client, V1).await;
    let services = inquiry.services().await;
    assert!(
        services.contains(&"shop.v1.Orders".to_owned()),
        "{services:?}"
    );
}

#[tokio::test]
async fn p154_open_inquiries_do_not_hold_up_a_drain() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let config = ServerConfig {
        drain_timeout: PATIENCE * 2,
        ..ServerConfig::default()
    };
    let server = Server::new().with_config(config).reflection();
    let report = tokio::spawn(server.serve_until(listener, async {
        stopped.await.unwrap();
    }));
    let client = Client::over(connect(address).await).await;
    let mut inquiry = Inquiry::start(&client, V1).await;
    assert_eq!(inquiry.services().await.len(), 2);

    stop.send(()).unwrap();
    let expected = End {
        code: 14,
        text: "the server is shutting down".to_owned(),
    };
    assert_eq!(inquiry.0.end().await, expected);
    drop(client);
    let report = timeout(PATIENCE, report).await.expect("a drain in time");
    let report = report.unwrap().unwrap();
    assert_eq!((report.calls_at_start, report.cut.len()), (1, 0));
}
