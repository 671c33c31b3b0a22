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
    let starts = ["///", "#[", "pub ", "impl ", "::barewire::"];
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
    if fits(&below) {
        return format!("{indent}pub {name}:\n{below}");
    }
    break_types(&format!("{indent}pub {name}: {kind},"))
}

/// A line with types in it. If it is too long, what its first brackets hold goes below it, and so on
/// within.
pub(super) fn break_types(line: &str) -> String {
    let Some((start, arguments, end)) = part_at_brackets(line) else {
        return line.to_owned();
    };
    let is_wide_tuple = start.ends_with(" (") && arguments.join(", ").len() > TUPLE_WIDTH;
    if fits(line) && !is_wide_tuple {
        return line.to_owned();
    }
    let indent = indent_of(line);
    let mut text = format!("{start}\n");
    for argument in arguments {
        text += &break_types(&format!("{indent}    {argument},"));
        text.push('\n');
    }
    text + indent + end
}

/// A line up to its first opening bracket, the arguments in there, and the line from the bracket
/// that closes it.
fn part_at_brackets(line: &str) -> Option<(&str, Vec<&str>, &str)> {
    let start = line.find(['<', '('])? + 1;
    let mut depth = 0;
    let mut arguments = Vec::new();
    let mut from = start;
    for (at, letter) in line.char_indices().skip_while(|(at, _)| *at < start) {
        match letter {
            ',' | '>' | ')' if depth == 0 => {
                arguments.push(line.get(from..at)?.trim_start());
                from = at + 1;
                if letter != ',' {
                    return Some((line.get(..start)?, arguments, line.get(at..)?));
                }
            }
            '<' | '(' => depth += 1,
            '>' | ')' => depth -= 1,
            _ => {}
        }
    }
    None
}

/// `) -> result {`, where the head of a method ends.
pub(super) fn method_result(result: &str) -> String {
    let line = format!("        ) -> {result}");
    if !fits(&line) {
        return break_types(&line) + " {";
    }
    if line.len() > METHOD_WIDTH {
        return line + "\n        {";
    }
    line + " {"
}

/// `let name = function(argument);`
pub(super) fn let_call(indent: &str, name: &str, function: &str, argument: &str) -> String {
    let line = format!("{indent}let {name} = {function}({argument});");
    if fits(&line) {
        return line;
    }
    let below = format!("{indent}    {function}({argument});");
    if fits(&below) {
        return format!("{indent}let {name} =\n{below}");
    }
    format!("{indent}let {name} = {function}(\n{indent}    {argument},\n{indent});")
}

/// `pub trait name: bounds {`, one step in.
pub(super) fn trait_head(name: &str, bounds: &str) -> String {
    let head = format!("    pub trait {name}: {bounds} {{");
    if head.len() <= TRAIT_WIDTH {
        return head;
    }
    format!("    pub trait {name}:\n        {bounds}\n    {{")
}

/// `head for name {`, one step in.
pub(super) fn impl_head(head: &str, name: &str) -> String {
    let line = format!("    {head} for {name} {{");
    if fits(&line) {
        return line;
    }
    format!("    {head}\n        for {name}\n    {{")
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
    let mut seen = BTreeSet::new();
    // What is printed of services is one step in, and so are items of modules, which do not count.
    let mut start = "pub ";
    for line in text.lines() {
        if line.starts_with("::barewire::") {
            start = "    pub ";
        } else if line == "}" {
            start = "pub ";
        }
        let item = line
            .strip_prefix(start)
            .and_then(|item| item.split_once(' '));
        let name = item.and_then(|(_, item)| item.split([' ', '<', ':', '(']).next());
        if name.is_some_and(|name| !seen.insert(name)) {
            return name;
        }
    }
    None
}

fn fits(line: &str) -> bool {
    line.chars().count() <= LINE_WIDTH
}

fn indent_of(line: &str) -> &str {
    let length = line.len() - line.trim_start().len();
    line.get(..length).unwrap_or_default()
}

fn inside<'a>(start: &str, code: &'a str, end: &str) -> Option<&'a str> {
    code.strip_prefix(start)?.strip_suffix(end)
}

// What rustfmt is set to, unless one sets it: max_width, attr_fn_like_width, fn_call_width and
// chain_width. Those of derives, traits and methods, one step in, are what it does.
const LINE_WIDTH: usize = 100;
const DERIVE_WIDTH: usize = 96;
const TRAIT_WIDTH: usize = 92;
const METHOD_WIDTH: usize = 90;
const ATTRIBUTE_WIDTH: usize = 70;
const TUPLE_WIDTH: usize = 60;
const CHAIN_WIDTH: usize = 60;
