//! The descriptor set that wrappers carry.

use protox::prost_reflect::DescriptorPool;
use protox::prost_reflect::prost::Message;
use protox::prost_reflect::prost_types::FileDescriptorSet;

use crate::support::{Written, compile_some};

const SHOP: &str = "syntax = 'proto3'; package my.shop;
    import 'bank.proto';
    import 'google/protobuf/descriptor.proto';
    extend google.protobuf.MethodOptions { string price = 50000; }
    // Sells.
    service Shop { rpc Buy(my.bank.Account) returns (my.bank.Account) { option (price) = 'high'; } }";
const BANK: &str = "syntax = 'proto3'; package my.bank;
    import 'google/protobuf/timestamp.proto';
    message Account { google.protobuf.Timestamp opened = 1; }";

fn compile_shop(test: &str) -> Written {
    let files = [("shop.proto", SHOP), ("bank.proto", BANK)];
    compile_some(test, &files, &["shop.proto"]).unwrap()
}

#[test]
fn it_lies_beside_the_rust_that_includes_it() {
    let written = compile_shop("set_name");
    let names: Vec<_> = written.keys().collect();
    assert_eq!(
        names,
        ["my.bank.rs", "my.shop.descriptor_set.bin", "my.shop.rs"]
    );
    let text = String::from_utf8_lossy(&written["my.shop.rs"]);
    assert!(
        text.contains("::std::include_bytes!(\"my.shop.descriptor_set.bin\")"),
        "{text}"
    );
}

#[test]
fn it_has_all_that_is_imported_and_no_comments() {
    let written = compile_shop("set_files");
    let set = FileDescriptorSet::decode(&*written["my.shop.descriptor_set.bin"]).unwrap();
    let names: Vec<_> = set.file.iter().map(|file| file.name()).collect();
    let google = [
        "google/protobuf/timestamp.proto",
        "google/protobuf/descriptor.proto",
    ];
    assert_eq!(names, [google[0], "bank.proto", google[1], "shop.proto"]);
    assert!(set.file.iter().all(|file| file.source_code_info.is_none()));
}

#[test]
fn it_has_options_that_only_its_own_files_know() {
    let written = compile_shop("set_options");
    let pool = DescriptorPool::decode(&*written["my.shop.descriptor_set.bin"]).unwrap();
    let price = pool.get_extension_by_name("my.shop.price").unwrap();
    let shop = pool.get_service_by_name("my.shop.Shop").unwrap();
    let buy = shop.methods().next().unwrap();
    assert_eq!(buy.options().get_extension(&price).as_str(), Some("high"));
}

#[test]
fn it_is_one_for_all_files_of_a_call() {
    let files = [("shop.proto", SHOP), ("bank.proto", BANK)];
    let written = compile_some("set_of_two", &files, &["bank.proto", "shop.proto"]).unwrap();
    let names: Vec<_> = written.keys().collect();
    assert_eq!(
        names,
        ["my.bank.descriptor_set.bin", "my.bank.rs", "my.shop.rs"]
    );
}
