//! A comment of a `.proto` file, made fit for rustdoc.
//!
//! It is Markdown, or near it, but was not written for rustdoc, which would run what is indented as
//! a test, look for the item behind `[Foo][my.Foo]`, and miss the end of `<name>`. So paragraphs,
//! lists, code and links into the web stay; whatever else is more than text to rustdoc is escaped.

use std::iter::{self, Peekable};

/// The lines of a comment as documentation; none if it says nothing.
pub(super) fn doc_lines(comment: &str) -> Vec<String> {
    let comment = clean(comment);
    let mut lines = comment.lines().map(part_indent).peekable();
    let mut docs = Docs {
        lines: Vec::new(),
        items: Vec::new(),
        after_blank: true,
    };
    while let Some((indent, text)) = lines.next() {
        if text.is_empty() {
            docs.push("");
        } else if docs.after_blank && docs.items.is_empty() && indent >= CODE_INDENT {
            docs.indented_code((indent, text), &mut lines);
        } else if let Some(fence) = fence_of(text) {
            docs.fenced_code(indent, fence, &mut lines);
        } else {
            docs.text(indent, text);
        }
    }
    docs.lines
}

/// Documentation as it grows.
struct Docs {
    lines: Vec<String>,
    /// The list items that the next line may belong to, each inside the one before.
    items: Vec<Item>,
    after_blank: bool,
}

/// A list item: the columns where its text begins, in the comment and in the documentation, and the
/// sign that ends its marker.
struct Item {
    source_column: usize,
    column: usize,
    sign: Option<char>,
}

impl Docs {
    fn text(&mut self, indent: usize, text: &str) {
        let Some((marker, text)) = list_marker(text) else {
            // A line right below an item belongs to it. With an empty line between, it does so only
            // if it is indented like it.
            if self.after_blank {
                self.leave_items(indent);
            }
            return self.push(&escape(text));
        };

        let sign = marker.chars().last();
        let sibling = self.leave_items(indent);
        let continues = sibling.is_some_and(|sibling| sibling.sign == sign);
        // A number other than one begins no list within a paragraph.
        let interrupts = number_of(marker).is_none_or(|number| number == "1");
        if !continues && !interrupts && !self.after_blank {
            self.push("");
        }
        self.push(&format!("{marker} {}", escape(text)));
        let width = marker.len() + 1;
        let item = Item {
            source_column: indent + width,
            column: self.column() + width,
            sign,
        };
        self.items.push(item);
    }

    /// Leaves the items that a line cannot belong to, and gives the outermost of them.
    fn leave_items(&mut self, indent: usize) -> Option<Item> {
        let is_left = |item: &mut Item| indent < item.source_column;
        iter::from_fn(|| self.items.pop_if(is_left)).last()
    }

    /// Code between fences. It gets a language that is not Rust, so that nobody compiles it.
    fn fenced_code<'a>(
        &mut self,
        indent: usize,
        fence: &str,
        lines: &mut impl Iterator<Item = (usize, &'a str)>,
    ) {
        let is_end = |text: &str| {
            text.starts_with(fence) && text.chars().all(|letter| fence.starts_with(letter))
        };
        self.push(&format!("{fence}text"));
        for (line_indent, text) in lines.take_while(|(_, text)| !is_end(text)) {
            self.push_code(line_indent.saturating_sub(indent), text);
        }
        self.push(fence);
    }

    /// Code that only its indentation shows to be code: as if it stood between fences.
    fn indented_code<'a>(
        &mut self,
        first: (usize, &'a str),
        lines: &mut Peekable<impl Iterator<Item = (usize, &'a str)>>,
    ) {
        let mut code = vec![first];
        let is_code = |(indent, text): &(usize, &str)| *indent >= CODE_INDENT || text.is_empty();
        code.extend(iter::from_fn(|| lines.next_if(is_code)));
        while code.pop_if(|(_, text)| text.is_empty()).is_some() {}

        let inner_fence = code
            .iter()
            .filter_map(|(_, text)| fence_of(text))
            .map(str::len)
            .max();
        let fence = "`".repeat(inner_fence.map_or(3, |length| length + 1));
        self.push(&format!("{fence}text"));
        for (indent, text) in code {
            self.push_code(indent.saturating_sub(CODE_INDENT), text);
        }
        self.push(&fence);
        if lines.peek().is_some() {
            self.push("");
        }
    }

    fn push_code(&mut self, indent: usize, text: &str) {
        self.push(format!("{}{text}", " ".repeat(indent)).trim_end());
    }

    fn push(&mut self, line: &str) {
        let line = format!("{}{line}", " ".repeat(self.column()));
        self.after_blank = line.trim().is_empty();
        self.lines.push(line.trim_end().to_owned());
    }

    fn column(&self) -> usize {
        self.items.last().map_or(0, |item| item.column)
    }
}

/// How far in Markdown takes a line for code.
const CODE_INDENT: usize = 4;

/// The fence that begins a block of code.
fn fence_of(text: &str) -> Option<&str> {
    let fence = |letter| {
        let behind = text.trim_start_matches(letter);
        // Ticks further on make all of it code within a line.
        let fence = text.strip_suffix(behind).filter(|fence| fence.len() >= 3);
        fence.filter(|_| letter != '`' || !behind.contains(letter))
    };
    fence('`').or_else(|| fence('~'))
}

/// The marker of a list item, `-`, `*`, `+`, `1.` or `1)`, and the text behind it.
fn list_marker(text: &str) -> Option<(&str, &str)> {
    let (marker, behind) = text.split_once(' ')?;
    let is_marker = ["-", "*", "+"].contains(&marker) || number_of(marker).is_some();
    is_marker.then_some((marker, behind.trim_start()))
}

/// The number in a marker `1.` or `1)`.
fn number_of(word: &str) -> Option<&str> {
    let number = word.strip_suffix(['.', ')'])?;
    let is_number = number.bytes().all(|digit| digit.is_ascii_digit());
    (is_number && (1..=9).contains(&number.len())).then_some(number)
}

/// Escapes what rustdoc would take for more than text.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    let mut rest = text;
    // In a text, no second list item on the line of the first begins, no rule or underline that
    // would make a heading of the line above, no quotation and no fence.
    let word = text.split(' ').next().unwrap_or_default();
    if let Some(number) = number_of(word) {
        escaped.extend([number, "\\"]);
        rest = text.strip_prefix(number).unwrap_or_default();
    } else if word.trim_matches(['-', '*', '+', '=']).is_empty()
        || word.starts_with('>')
        || word.starts_with("~~~")
    {
        escaped.push('\\');
    }
    while let Some(letter) = rest.chars().next() {
        let kept = kept_code(rest)
            .or_else(|| kept_link(rest))
            .or_else(|| kept_escape(rest));
        let taken = if let Some(kept) = kept {
            escaped.push_str(kept);
            kept.len()
        } else if let Some(address) = web_address(rest) {
            escaped.extend(["<", address, ">"]);
            address.len()
        } else if letter == '`' {
            escaped.push_str(&"\\`".repeat(leading_ticks(rest)));
            leading_ticks(rest)
        } else {
            if ['[', ']', '<'].contains(&letter) {
                escaped.push('\\');
            }
            escaped.push(letter);
            letter.len_utf8()
        };
        rest = rest.get(taken..).unwrap_or_default();
    }
    escaped
}

/// `` `code` `` at the start of a text. Ticks without a partner are no code.
fn kept_code(text: &str) -> Option<&str> {
    let ticks = leading_ticks(text);
    if ticks == 0 {
        return None;
    }
    let mut end = ticks;
    loop {
        end += text.get(end..)?.find('`')?;
        let closing = leading_ticks(text.get(end..)?);
        end += closing;
        if closing == ticks {
            return text.get(..end);
        }
    }
}

fn leading_ticks(text: &str) -> usize {
    text.len() - text.trim_start_matches('`').len()
}

/// `<https://example.com>` or `[words](https://example.com)` at the start of a text.
fn kept_link(text: &str) -> Option<&str> {
    if let Some(address) = text.strip_prefix('<').and_then(web_address) {
        let length = address.len() + 2;
        return text.get(..length).filter(|link| link.ends_with('>'));
    }
    let (words, target) = text.strip_prefix('[')?.split_once("](")?;
    let (target, _) = target.split_once(')')?;
    let is_plain = !words.contains(['[', ']', '<', '`', '\\']);
    let length = words.len() + target.len() + 4;
    if is_plain && web_address(target) == Some(target) {
        text.get(..length)
    } else {
        None
    }
}

/// A sign that is escaped already, at the start of a text.
fn kept_escape(text: &str) -> Option<&str> {
    let mut signs = text.strip_prefix('\\')?.chars();
    signs.next().filter(char::is_ascii_punctuation)?;
    text.get(..2)
}

/// The address of a web page at the start of a text, without the signs that end a sentence.
fn web_address(text: &str) -> Option<&str> {
    let scheme = ["https://", "http://"]
        .into_iter()
        .find(|scheme| text.starts_with(scheme))?;
    let ends = |letter: char| letter.is_whitespace() || "<>[]{}|\\^`\"".contains(letter);
    let address = text.split(ends).next()?;
    let closes_more = address.contains(')') && !address.contains('(');
    let address = if closes_more {
        address.split(')').next()?
    } else {
        address
    };
    let address = address.trim_end_matches(['.', ',', ';', ':', '!', '?', '\'', '*', '_']);
    (address.len() > scheme.len()).then_some(address)
}

/// The text of a comment without what is only there to draw the comment.
fn clean(comment: &str) -> String {
    // Of `/** text`, the second star counts as text. Other stars at the left are gone already.
    let comment = comment.strip_prefix('*').unwrap_or(comment);
    let comment = comment
        .replace("\r\n", "\n")
        .replace('\r', "\n")
        .replace('\t', "    ");
    let text: String = comment
        .chars()
        .filter(|letter| !is_invisible(*letter))
        .collect();

    // So is the third slash of `/// text`.
    let mut lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    if lines
        .iter()
        .all(|line| line.is_empty() || line.starts_with('/'))
    {
        lines = lines
            .iter()
            .map(|line| line.strip_prefix('/').unwrap_or(line))
            .collect();
    }
    let said = lines.iter().filter(|line| !line.trim().is_empty());
    let indent = said.map(|line| part_indent(line).0).min().unwrap_or(0);
    let lines: Vec<&str> = lines
        .iter()
        .map(|line| line.get(indent..).unwrap_or(""))
        .collect();
    lines.join("\n").trim_matches('\n').to_owned()
}

/// Whether a letter is one that the compiler refuses in comments, for it could hide what they say.
fn is_invisible(letter: char) -> bool {
    let turns_direction = matches!(letter, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    turns_direction || (letter.is_control() && letter != '\n')
}

/// How many spaces begin a line, and the rest of it.
fn part_indent(line: &str) -> (usize, &str) {
    let text = line.trim_start_matches(' ');
    (line.len() - text.len(), text)
}
