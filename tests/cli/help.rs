//! Help, version, and command lines that are not understood.

use crate::process::run;

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn without_a_command_there_is_help() {
    for arguments in [&[][..], &["--help"], &["help"]] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        let help = text(&output.stdout);
        assert!(help.contains("barewire [COMMAND]"), "{help}");
        assert!(help.contains("serve"), "{help}");
        assert_eq!(text(&output.stderr), "");
    }
}

#[test]
fn the_version_is_that_of_the_package() {
    let output = run(&["--version"]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(
        text(&output.stdout),
        concat!("barewire ", env!("CARGO_PKG_VERSION"), "\n")
    );
}

#[test]
fn the_help_of_serve_has_every_flag_and_every_default() {
    let help = text(&run(&["serve", "--help"]).stdout);
    let words = [
        "--addr <HOST:PORT>",
        "127.0.0.1:50051",
        "[::1]:50051",
        "--tls-cert <FILE>",
        "--tls-key <FILE>",
        "--tls-client-ca <FILE>",
        "--tls-client-auth <HOW>",
        "optional",
        "[default: required]",
        "--route-db <FILE>",
        "--task-interval <SECONDS>",
        "[default: 40]",
        "--log <FORMAT>",
        "[default: text]",
        "--drain-timeout <SECONDS>",
        "[default: 30]",
    ];
    for word in words {
        assert!(help.contains(word), "{word} is not in:\n{help}");
    }
}

#[test]
#[rustfmt::skip]
fn what_is_not_understood_is_told_in_one_line() {
    let cases: &[(&[&str], &str)] = &[
        (&["serve", "--adr", "x"],              "unexpected argument '--adr' found; tip: a similar argument exists: '--addr'"),
        (&["serve", "--log", "xml"],            "invalid value 'xml' for '--log <FORMAT>'; possible values: text, json, none"),
        (&["serve", "--tls-cert"],              "a value is required for '--tls-cert <FILE>' but none was supplied"),
        (&["serve", "--task-interval", "0"],    "invalid value '0' for '--task-interval <SECONDS>': write seconds above zero, such as 40 or 0.5"),
        (&["serve", "--task-interval", "1e-99"], "invalid value '1e-99' for '--task-interval <SECONDS>': write seconds above zero, such as 40 or 0.5"),
        (&["serve", "--task-interval", "nan"],  "invalid value 'nan' for '--task-interval <SECONDS>': write seconds as a number, such as 40 or 0.5"),
        (&["serve", "--drain-timeout", "5s"],   "invalid value '5s' for '--drain-timeout <SECONDS>': write seconds as a number, such as 40 or 0.5"),
        (&["serve", "--drain-timeout=-1"],      "invalid value '-1' for '--drain-timeout <SECONDS>': write seconds as a number, such as 40 or 0.5"),
    ];
    for (arguments, sentence) in cases {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert_eq!(
            text(&output.stderr),
            format!("error: {sentence}; barewire serve --help tells what there is\n")
        );
        assert_eq!(text(&output.stdout), "");
    }
}

#[test]
#[rustfmt::skip]
fn an_unknown_name_is_told_which_there_are() {
    let cases: &[(&[&str], &str)] = &[
        (&["tutorial", "flights"],            "unrecognized subcommand 'flights'; there are greeter, multi-greeter, greet, numbers, sums, chat, route-guide, hello, contact; barewire tutorial --help tells what there is"),
        (&["tutorial", "greeter", "--nam"],   "unexpected argument '--nam' found; tip: a similar argument exists: '--name'; barewire tutorial greeter --help tells what there is"),
        (&["tutorial", "sums", "a", "b"],     "unexpected argument 'b' found; barewire tutorial sums --help tells what there is"),
        (&["tutorial", "sums", "--timeout=0"], "invalid value '0' for '--timeout <SECONDS>': write seconds above zero, such as 40 or 0.5; barewire tutorial sums --help tells what there is"),
        (&["interop", "cliend"],              "unrecognized subcommand 'cliend'; tip: a similar subcommand exists: 'client'; there are server, client; barewire interop --help tells what there is"),
        (&["interop", "server", "--prot", "1"], "unexpected argument '--prot' found; tip: a similar argument exists: '--port'; barewire interop server --help tells what there is"),
        (&["interop", "client", "--use_tls=no"], "invalid value 'no' for '--use_tls [<BOOL>]'; possible values: true, false; barewire interop client --help tells what there is"),
        (&["tutorial", "contact", "--count", "x"], "invalid value 'x' for '--count <NUMBER>': invalid digit found in string; barewire tutorial contact --help tells what there is"),
    ];
    for (arguments, sentence) in cases {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert_eq!(text(&output.stderr), format!("error: {sentence}\n"));
        assert_eq!(text(&output.stdout), "");
    }
    let line = text(&run(&["sevre"]).stderr);
    let start = "error: unrecognized subcommand 'sevre'; tip: a similar subcommand exists: 'serve'; there are serve, ";
    assert!(line.starts_with(start) && line.ends_with("; barewire --help tells what there is\n"), "{line}");
}
