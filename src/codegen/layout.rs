//! Where lines break: as rustfmt breaks them, so that what is printed may be formatted with the rest.
//!
//! prost-build prints nearly so. It leaves lines too long, empty braces on two lines, and no empty
//! line between items.

use std::collections::BTreeSet;

/// Brings the messages that prost-build printed into shape. What is in shape stays as it is.
pub(super) fn format_messages(text: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with(PROST_HEADING)) {
        if let Some(above) = lines.last_mut() {
            if closes_what_opens(line, above) {
                above.push('}');
                continue;
            }
            if begins_item(line) && above.ends_with('}') {
                lines.push(String::new());
            }
        }
        lines.push(break_line(line));
    }
    lines.join("\n") + "\n"
}

const PROST_HEADING: &str = "// This file is @generated";

fn closes_what_opens(line: &str, above: &str) -> bool {
    let opens = above.ends_with(" {") && indent_of(above) == indent_of(line);
    opens && line.trim_start() == "}"
}

fn begins_item(line: &str) -> bool {
    let starts = ["///", "#[", "pub ", "impl "];
    starts
        .iter()
        .any(|start| line.trim_start().starts_with(start))
}

/// One line of prost-build, as the lines that rustfmt makes of it.
fn break_line(line: &str) -> String {
    let indent = indent_of(line);
    let code = line.trim_start();
    if let Some(arguments) = inside("#[prost(", code, ")]") {
        return break_attribute(line, indent, arguments);
    }
    if let Some(traits) = inside("#[derive(", code, ")]")
        && line.len() > DERIVE_WIDTH
    {
        return format!("{indent}#[derive(\n{indent}    {traits},\n{indent})]");
    }
    if let Some((pattern, value)) = code.split_once(" => Some(#[allow(deprecated)] ") {
        let value = value.trim_end_matches("),");
        return format!(
            "\
{indent}{pattern} => Some(
{indent}    #[allow(deprecated)]
{indent}    {value},
{indent}),"
        );
    }
    if fits(line) || code.starts_with("//") {
        return line.to_owned();
    }
    if let Some((pattern, value)) = inside("", code, ",").and_then(|arm| arm.split_once(" => ")) {
        return format!("{indent}{pattern} => {{\n{indent}    {value}\n{indent}}}");
    }
    if let Some((name, kind)) = inside("pub ", code, ",").and_then(|field| field.split_once(": ")) {
        return break_field(indent, name, kind);
    }
    if let Some((variant, kind)) =
        inside("", code, "),").and_then(|variant| variant.split_once('('))
    {
        return format!("{indent}{variant}(\n{indent}    {kind},\n{indent}),");
    }
    line.to_owned()
}

fn break_attribute(line: &str, indent: &str, arguments: &str) -> String {
    if arguments.len() <= ATTRIBUTE_WIDTH && fits(line) {
        return line.to_owned();
    }
    let arguments = split_arguments(arguments).join(&format!(",\n{indent}    "));
    format!("{indent}#[prost(\n{indent}    {arguments}\n{indent})]")
}

/// The arguments of an attribute, parted at its commas, but for those in a text.
fn split_arguments(arguments: &str) -> Vec<&str> {
    let mut in_text = false;
    let mut escaped = false;
    let parts = arguments.split(|letter| {
        in_text ^= letter == '"' && !escaped;
        escaped = letter == '\\' && !escaped;
        letter == ',' && !in_text
    });
    parts.map(str::trim_start).collect()
}

fn break_field(indent: &str, name: &str, kind: &str) -> String {
    let below = format!("{indent}    {kind},");
    match kind.strip_suffix('>').and_then(|kind| kind.split_once('<')) {
        Some((outer, inner)) if !fits(&below) => {
            let inner = inner.split(", ").collect::<Vec<_>>();
            generic(&format!("{indent}pub {name}: {outer}"), &inner, ",")
        }
        _ => format!("{indent}pub {name}:\n{below}"),
    }
}

/// `pub trait name: bounds {`.
pub(super) fn trait_head(name: &str, bounds: &str) -> String {
    let head = format!("pub trait {name}: {bounds} {{");
    if head.len() <= TRAIT_WIDTH {
        return head;
    }
    format!("pub trait {name}:\n    {bounds}\n{{")
}

/// `prefix<arguments>tail`, on one line if it fits.
pub(super) fn generic(prefix: &str, arguments: &[&str], tail: &str) -> String {
    let line = format!("{prefix}<{}>{tail}", arguments.join(", "));
    if fits(&line) {
        return line;
    }
    let indent = indent_of(prefix);
    let arguments = arguments.join(&format!(",\n{indent}    "));
    format!("{prefix}<\n{indent}    {arguments},\n{indent}>{tail}")
}

/// `prefix handler.method(arguments).await tail`.
pub(super) fn handler_call(prefix: &str, method: &str, arguments: &[&str], tail: &str) -> String {
    if let Some(line) = handler_call_in_one_line(prefix, method, arguments, tail) {
        return line;
    }
    let indent = format!("{}    ", indent_of(prefix));
    let mut call = format!("{indent}.{method}({})", arguments.join(", "));
    if !fits(&call) {
        let arguments = arguments.join(&format!(",\n{indent}    "));
        call = format!("{indent}.{method}(\n{indent}    {arguments},\n{indent})");
    }
    format!("{prefix}handler\n{call}\n{indent}.await{tail}")
}

/// The same, if it may stand on one line.
pub(super) fn handler_call_in_one_line(
    prefix: &str,
    method: &str,
    arguments: &[&str],
    tail: &str,
) -> Option<String> {
    let call = format!("handler.{method}({}).await", arguments.join(", "));
    // A comma behind an arm does not count, a semicolon does.
    let width = call.len() + tail.trim_end_matches(',').len();
    let line = format!("{prefix}{call}{tail}");
    (width <= CHAIN_WIDTH && fits(&line)).then_some(line)
}

/// The first name that two items of a file have.
pub(super) fn name_printed_twice(text: &str) -> Option<&str> {
    let items = text
        .lines()
        .filter_map(|line| line.strip_prefix("pub ")?.split_once(' '));
    let mut names = items.filter_map(|(_, item)| item.split([' ', '<', ':', '(']).next());
    let mut seen = BTreeSet::new();
    names.find(|name| !seen.insert(*name))
}

pub(super) fn fits(line: &str) -> bool {
    line.chars().count() <= LINE_WIDTH
}

fn indent_of(line: &str) -> &str {
    let length = line.len() - line.trim_start().len();
    line.get(..length).unwrap_or_default()
}

fn inside<'a>(start: &str, code: &'a str, end: &str) -> Option<&'a str> {
    code.strip_prefix(start)?.strip_suffix(end)
}

// What rustfmt is set to, unless one sets it: max_width, attr_fn_like_width and chain_width. Those of
// derives and traits are what it does.
const LINE_WIDTH: usize = 100;
const DERIVE_WIDTH: usize = 96;
const TRAIT_WIDTH: usize = 92;
const ATTRIBUTE_WIDTH: usize = 70;
const CHAIN_WIDTH: usize = 60;
