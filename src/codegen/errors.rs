//! What is wrong with a `.proto` file, and where, for whoever runs the build.
//!
//! One line, in the form that terminals and editors make a link of:
//!
//! ```text
//! proto/hello.proto:7:16: name 'HelloRequst' is not defined
//! ```

use std::fmt;
use std::io::{Error, ErrorKind, Result};
use std::path::{Path, PathBuf};

use protox::Compiler;
use protox::prost_reflect::prost_types::FileDescriptorProto;

/// The directories that `.proto` files are looked for in.
pub(super) struct Includes(Vec<PathBuf>);

impl Includes {
    pub(super) fn new(includes: &[impl AsRef<Path>]) -> Self {
        Self(
            includes
                .iter()
                .map(|include| include.as_ref().to_owned())
                .collect(),
        )
    }

    /// Reads files and all that they import.
    pub(super) fn read(&self, protos: &[impl AsRef<Path>]) -> Result<Compiler> {
        let mut compiler = Compiler::new(&self.0).map_err(|error| self.explain(&error))?;
        compiler.include_imports(true);
        for proto in protos.iter().map(AsRef::as_ref) {
            let opened = compiler.open_file(proto);
            opened.map_err(|error| match error.file() {
                // protox takes it for a file that lies elsewhere.
                None if !proto.exists() => self.explain_absence(proto),
                _ => self.explain(&error),
            })?;
        }
        Ok(compiler)
    }

    fn explain_absence(&self, proto: &Path) -> Error {
        let text = format!("file '{}' not found; {}", proto.display(), self.searched());
        problem(ErrorKind::NotFound, text)
    }

    fn explain(&self, error: &protox::Error) -> Error {
        // protox tells the line and the column in its Debug form, and knows files by the names that
        // imports call them.
        let mut text = format!("{error:?}");
        if let Some(name) = error.file() {
            let path = self.path_of(name);
            if let Some(behind_name) = text.strip_prefix(&format!("{name}:")) {
                text = format!("{path}:{behind_name}");
            } else if !text.contains(name) {
                text = format!("{path}: {text}");
            }
        }
        if error.is_file_not_found() {
            return problem(ErrorKind::NotFound, format!("{text}; {}", self.searched()));
        }
        problem(ErrorKind::InvalidInput, text)
    }

    fn searched(&self) -> String {
        if self.0.is_empty() {
            return "no include directory was given".to_owned();
        }
        let includes = self.0.iter().map(|include| {
            let missing = if include.is_dir() {
                ""
            } else {
                " (no such directory)"
            };
            format!("{}{missing}", include.display())
        });
        format!("searched in {}", includes.collect::<Vec<_>>().join(", "))
    }

    /// Two methods of a service would have one name.
    pub(super) fn explain_clash(
        &self,
        clash: &MethodClash,
        files: &[FileDescriptorProto],
    ) -> Error {
        let MethodClash {
            package,
            service,
            first,
            second,
            name,
        } = clash;
        let text = format!("methods `{first}` and `{second}` would both be `{name}` in Rust");
        let place = files
            .iter()
            .filter(|file| file.package() == package)
            .find_map(|file| {
                let mut services = file.service.iter().zip(0..);
                let (service, index) = services.find(|(known, _)| known.name() == service)?;
                let mut methods = service.method.iter().zip(0..);
                let (_, method_index) = methods.find(|(known, _)| known.name() == second)?;
                Some(self.place_of(file, &[SERVICES, index, METHODS, method_index]))
            });
        at_place(place, &text)
    }

    /// Two items of a package would have one name. The last of which it is the name in the `.proto`
    /// too, but for case and underscores, is where one looks first.
    pub(super) fn explain_double(&self, name: &str, files: &[&FileDescriptorProto]) -> Error {
        let plain = |name: &str| name.replace('_', "").to_lowercase();
        let place = files.iter().rev().find_map(|file| {
            let messages = file
                .message_type
                .iter()
                .map(|message| message.name())
                .zip(0..);
            let enums = file
                .enum_type
                .iter()
                .map(|declared| declared.name())
                .zip(0..);
            let services = file.service.iter().map(|service| service.name()).zip(0..);
            let items = (messages.map(|(item, index)| (item, [MESSAGES, index])))
                .chain(enums.map(|(item, index)| (item, [ENUMS, index])))
                .chain(services.map(|(item, index)| (item, [SERVICES, index])));
            let path = items
                .filter(|(item, _)| plain(item) == plain(name))
                .last()?
                .1;
            Some(self.place_of(file, &path))
        });
        let text = format!("two items would be `{name}` in Rust");
        at_place(place, &text)
    }

    /// File, line and column of what is declared at a path of field numbers and indexes.
    fn place_of(&self, file: &FileDescriptorProto, path: &[i32]) -> String {
        let mut locations = file.source_code_info.iter().flat_map(|info| &info.location);
        let location = locations.find(|location| location.path == path);
        let Some([line, column, ..]) = location.map(|location| location.span.as_slice()) else {
            return self.path_of(file.name());
        };
        format!("{}:{}:{}", self.path_of(file.name()), line + 1, column + 1)
    }

    /// Where the file lies that imports call `name`.
    fn path_of(&self, name: &str) -> String {
        let mut paths = self.0.iter().map(|include| include.join(name));
        let path = paths.find(|path| path.is_file());
        path.map_or_else(|| name.to_owned(), |path| path.display().to_string())
    }
}

// The numbers of these fields of FileDescriptorProto and ServiceDescriptorProto in
// google/protobuf/descriptor.proto: positions in a file are told by them.
const MESSAGES: i32 = 4;
const ENUMS: i32 = 5;
const SERVICES: i32 = 6;
const METHODS: i32 = 2;

/// Two methods of one service that would have one name in Rust.
pub(super) struct MethodClash {
    pub(super) package: String,
    pub(super) service: String,
    pub(super) first: String,
    pub(super) second: String,
    pub(super) name: String,
}

fn at_place(place: Option<String>, text: &str) -> Error {
    let place = place.map_or_else(String::new, |place| place + ": ");
    problem(ErrorKind::InvalidInput, place + text)
}

pub(super) fn problem(kind: ErrorKind, text: impl Into<String>) -> Error {
    Error::new(kind, Problem(text.into()))
}

/// A text that is the same in Debug: a `main` that returns the error prints that form, and the text
/// is not to be quoted there.
struct Problem(String);

impl std::error::Error for Problem {}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl fmt::Debug for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}
