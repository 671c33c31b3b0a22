//! barewire's half of `bench.proto`; its messages are those of `harness`.

use barewire::codegen::Options;

fn main() -> std::io::Result<()> {
    let messages = (".bench".to_owned(), "::harness::messages".to_owned());
    let options = Options {
        extern_paths: vec![messages],
        ..Options::default()
    };
    options.compile(&["../proto/bench.proto"], &["../proto"])
}
