//! Comments become documentation that rustdoc takes for nothing more.

use std::fs;
use std::process::Command;

use crate::support::{is_installed, package, rust_of, scratch};

/// The documentation printed for a method with this comment, behind `///` and without indentation.
fn docs_of(test: &str, comment: &str) -> Vec<String> {
    let proto = format!(
        "syntax = 'proto3'; package p;\nmessage M {{}}\nservice S {{\n{comment}\nrpc Call(M) returns (M);\n}}"
    );
    let text = rust_of(test, &proto);
    let lines = text
        .lines()
        .skip_while(|line| !line.starts_with("    pub trait S"))
        .skip(1);
    let docs = lines.map_while(|line| line.strip_prefix("        ///"));
    docs.map(|line| line.strip_prefix(' ').unwrap_or(line).to_owned())
        .collect()
}

#[test]
#[rustfmt::skip]
fn a_comment_is_documentation() {
    let cases: &[(&str, &[&str])] = &[
        // as written                                     as documented
        ("// One line.",                                  &["One line."]),
        ("//No space.",                                   &["No space."]),
        ("// Two\n// lines.",                             &["Two", "lines."]),
        ("// One.\n//\n// Two.",                          &["One.", "", "Two."]),
        ("/* A block. */",                                &["A block."]),
        ("/* A block\n * with stars. */",                 &["A block", "with stars."]),
        ("/** Two stars. */",                             &["Two stars."]),
        ("/// Three slashes.\n/// Twice.",                &["Three slashes.", "Twice."]),
        ("// About nothing.\n\n// About this.",           &["About this."]),
        ("// About nothing.\n",                           &["The call `Call`."]),
        ("",                                              &["The call `Call`."]),
        ("//\n//  \n//",                                  &["The call `Call`."]),
        ("// Wind\r\n// ows.",                            &["Wind", "ows."]),
        ("// \u{202e}Hidden\u{2066} \u{7}letters.",       &["Hidden letters."]),
        ("//\tTabs\tare\tspaces.",                        &["Tabs    are    spaces."]),
    ];
    for (comment, docs) in cases {
        assert_eq!(docs_of("documentation", comment), *docs, "{comment}");
    }
}

#[test]
fn a_comment_behind_an_item_follows_the_one_above_it() {
    let proto = "syntax = 'proto3';
        // Above.
        message M { // Behind.
            // Field.
            string text = 1; // Behind the field.
        }";
    let text = rust_of("trailing", proto);
    assert!(
        text.contains("/// Above.\n///\n/// Behind.\n#[derive("),
        "{text}"
    );
    assert!(
        text.contains("    /// Field.\n    ///\n    /// Behind the field.\n    #[prost("),
        "{text}"
    );
}

#[test]
#[rustfmt::skip]
fn what_is_more_than_text_to_rustdoc_is_escaped() {
    let cases = [
        // as written                               as documented
        ("[Foo], [Foo][my.Foo], [Foo](my.Foo)",     r"\[Foo\], \[Foo\]\[my.Foo\], \[Foo\](my.Foo)"),
        ("[foo]: bar, [^1], - [ ] task",            r"\[foo\]: bar, \[^1\], - \[ \] task"),
        ("Vec<T>, <b>, </b>, a < b",                r"Vec\<T>, \<b>, \</b>, a \< b"),
        ("> a quotation",                           r"\> a quotation"),
        ("a > b",                                   r"a > b"),
        ("`Vec<T>` and ``[`]``",                    r"`Vec<T>` and ``[`]``"),
        ("one ` tick <T>",                          r"one \` tick \<T>"),
        ("``` `[a]`",                               r"\`\`\` `[a]`"),
        (r"\[, \<, \\[, \d, C:\[",                  r"\[, \<, \\\[, \d, C:\["),              // escaped is escaped
        ("https://a.example/b.",                    r"<https://a.example/b>."),
        ("(http://a.example), 'http://b.example'",  r"(<http://a.example>), '<http://b.example>'"),
        ("https://a.example/b_(c)",                 r"<https://a.example/b_(c)>"),
        ("<https://a.example>",                     r"<https://a.example>"),
        ("[a](https://a.example) [b](https://x",    r"[a](https://a.example) \[b\](<https://x>"),
        ("http:// https://[::1]:80",                r"http:// https://\[::1\]:80"),
        ("# A heading",                             r"# A heading"),
    ];
    for (text, docs) in cases {
        assert_eq!(docs_of("escapes", &format!("// {text}")), [docs], "{text}");
    }
}

#[test]
#[rustfmt::skip]
fn code_is_never_compiled() {
    let cases: &[(&str, &[&str])] = &[
        ("// ```\n// a[0]\n// ```",                        &["```text", "a[0]", "```"]),
        ("// ```rust\n// a[0]\n//   b\n// ```\n// [c]",    &["```text", "a[0]", "  b", "```", r"\[c\]"]),
        ("// ~~~ rust\n// ```\n// ~~~~",                   &["~~~text", "```", "~~~"]),
        ("// ```\n// no end",                              &["```text", "no end", "```"]),
        ("// a:\n//\n//     b[0]\n//\n//       c\n// d",   &["a:", "", "```text", "b[0]", "", "  c", "```", "", "d"]),
        ("// a\n//      b",                                &["a", "b"]),                                      // the paragraph goes on
        ("//     all\n//     of it",                       &["all", "of it"]),                                // indented alike is not indented
        ("// a:\n//\n//     ```\n//     b",                &["a:", "", "````text", "```", "b", "````"]),
    ];
    for (comment, docs) in cases {
        assert_eq!(docs_of("code", comment), *docs, "{comment}");
    }
}

#[test]
#[rustfmt::skip]
fn lists_stay_lists() {
    let cases: &[(&str, &[&str])] = &[
        ("// - a\n// - b",                        &["- a", "- b"]),
        ("// - a\n// b",                          &["- a", "  b"]),                   // or clippy warns
        ("// - a\n//       b",                    &["- a", "  b"]),
        ("//  - a\n//    - b\n//  - c",           &["- a", "  - b", "- c"]),
        ("// -   a\n//     b",                    &["- a", "  b"]),
        ("// - a\n//\n//   b\n//\n// c",          &["- a", "", "  b", "", "c"]),
        ("// - a\n//\n//       b[0]",             &["- a", "", r"  b\[0\]"]),         // not code
        ("// - a\n//   ```\n//   b\n//   ```",    &["- a", "  ```text", "  b", "  ```"]),
        ("// 1. a\n// 2. b\n//    c",             &["1. a", "2. b", "   c"]),
        ("// a\n// 1) b",                         &["a", "1) b"]),
        ("// a\n// 3) b",                         &["a", "", "3) b"]),                // or it is no list
        ("// - - a\n// - 1. b\n// - > c",         &[r"- \- a", r"- 1\. b", r"- \> c"]),
        ("// a\n// -",                            &["a", r"\-"]),                     // or `a` is a heading
        ("// a\n// ===\n// b\n// ---",            &["a", r"\===", "b", r"\---"]),    // or they are
        ("// - ---\n// - a",                      &[r"- \---", "- a"]),              // or the first is a rule
    ];
    for (comment, docs) in cases {
        assert_eq!(docs_of("lists", comment), *docs, "{comment}");
    }
}

#[test]
fn what_has_no_comment_may_have_no_documentation() {
    let said = "syntax = 'proto3'; package p;
        // M.
        message M {
            // Field.
            map<string, M> field = 1;
        }";
    let text = rust_of("missing_docs", said);
    assert!(!text.contains("missing_docs"), "{text}");

    for silent in ["// M.\n", "// Field.\n"] {
        let text = rust_of("missing_docs", &said.replace(silent, "\n"));
        assert!(text.contains("#[allow(missing_docs)]\n#[derive("), "{text}");
    }
}

#[test]
fn rustdoc_has_nothing_to_warn_of_and_nothing_to_test() {
    if !is_installed("rustdoc") {
        return;
    }
    let proto = fs::read_to_string(package("tests/codegen/comments.proto")).unwrap();
    let printed = rust_of("rustdoc_proto", &proto);

    // The comments alone, each above a function that does nothing, so that no crate is needed.
    let mut text =
        "//! Comments.\n\n/// The trait that the wrapper's comment links to.\npub trait Talk {}\n"
            .to_owned();
    let mut functions = 0;
    for line in printed.lines().map(str::trim_start) {
        if line.starts_with("///") {
            text += &format!("{line}\n");
        } else if text
            .lines()
            .last()
            .is_some_and(|last| last.starts_with("///"))
        {
            text += &format!("pub fn function_{functions}() {{}}\n");
            functions += 1;
        }
    }
    assert!(functions > 15, "{text}");
    let scratch = scratch("rustdoc");
    let path = scratch.join("comments.rs");
    fs::write(&path, text).unwrap();

    let rustdoc = |mode: &str| {
        let mut rustdoc = Command::new("rustdoc");
        rustdoc
            .args(["--edition", "2024", mode, "-o"])
            .arg(scratch.join("out"))
            .arg(&path);
        let output = rustdoc.output().unwrap();
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(output.status.success(), "{said}");
        said
    };
    rustdoc("-Dwarnings");
    let tested = rustdoc("--test");
    assert!(tested.contains("running 0 tests"), "{tested}");
}
