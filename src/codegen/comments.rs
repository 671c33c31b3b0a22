//! Comments of `.proto` files, and their way around prost-build.
//!
//! prost-build has an escaping of its own, which knows neither lists nor code. To pass it untouched,
//! comments travel as numbers, and take their places again in what was printed.

use std::collections::BTreeSet;

use protox::prost_reflect::prost_types::FileDescriptorProto;

use super::markdown::doc_lines;

/// The comments of all files of a compilation.
pub(super) struct Comments(Vec<Vec<String>>);

impl Comments {
    /// Takes the comments out of `files`, and leaves numbers in their places.
    pub(super) fn take_from(files: &mut [FileDescriptorProto]) -> Self {
        let mut texts = Vec::new();
        let infos = files
            .iter_mut()
            .filter_map(|file| file.source_code_info.as_mut());
        for location in infos.flat_map(|info| &mut info.location) {
            // A comment with an empty line below it is about no item, and often was one.
            location.leading_detached_comments.clear();
            for comment in [
                &mut location.leading_comments,
                &mut location.trailing_comments,
            ] {
                let lines = doc_lines(comment.as_deref().unwrap_or_default());
                *comment = (!lines.is_empty()).then(|| format!("{MARK}{}", texts.len()));
                if comment.is_some() {
                    texts.push(lines);
                }
            }
        }
        Self(texts)
    }

    /// Puts the comments in the places of their numbers.
    pub(super) fn put_back(&self, printed: &str) -> String {
        let mut text = String::with_capacity(printed.len());
        for line in printed.lines() {
            let marked = line.split_once(MARK);
            let comment = marked.and_then(|(start, number)| {
                Some((start.trim_end(), self.0.get(number.parse::<usize>().ok()?)?))
            });
            let Some((start, lines)) = comment else {
                text.extend([line, "\n"]);
                continue;
            };
            for line in lines {
                text.extend([format!("{start} {line}").trim_end(), "\n"]);
            }
        }
        text
    }
}

/// Stands before a number that stands for a comment. Unicode keeps this letter for private use.
const MARK: char = '\u{e000}';

/// The types at the top of a file, by their full names, that lack a comment somewhere.
pub(super) fn types_without_comment(file: &FileDescriptorProto) -> BTreeSet<String> {
    let locations = file.source_code_info.iter().flat_map(|info| &info.location);
    let silent = locations.filter(|location| {
        location.leading_comments.is_none() && location.trailing_comments.is_none()
    });
    let names = silent.filter_map(|location| type_at(file, &location.path));
    let package = file.package();
    let dot = if package.is_empty() { "" } else { "." };
    names.map(|name| format!("{dot}{package}.{name}")).collect()
}

/// The type at the top of a file to which a path of field numbers and indexes leads, if what it
/// leads to, there or within, is printed with its comment.
fn type_at<'a>(file: &'a FileDescriptorProto, path: &[i32]) -> Option<&'a str> {
    let (field, index, within) = match path {
        [field, index, within @ ..] => (*field, usize::try_from(*index).ok()?, within),
        _ => return None,
    };
    match field {
        4 if is_in_message(within) => Some(file.message_type.get(index)?.name()),
        5 if is_in_enum(within) => Some(file.enum_type.get(index)?.name()),
        _ => None,
    }
}

// The numbers are those of google/protobuf/descriptor.proto: a message has its fields in 2, the
// messages within in 3, the enums in 4, its oneofs in 8; an enum has its values in 2.

fn is_in_message(path: &[i32]) -> bool {
    match path {
        [] | [2 | 8, _] => true,
        [3, _, within @ ..] => is_in_message(within),
        [4, _, within @ ..] => is_in_enum(within),
        _ => false,
    }
}

fn is_in_enum(path: &[i32]) -> bool {
    matches!(path, [] | [2, _])
}
