//! One compilation: `.proto` files in, Rust and descriptors out.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::{env, fs, io};

use prost_build::{Config, Module, Service, ServiceGenerator};
use protox::Compiler;
use protox::file::FileMetadata;
use protox::prost_reflect::prost_types::FileDescriptorProto;

use super::comments::{Comments, types_without_comment};
use super::errors::{Includes, MethodClash, problem};
use super::{client, layout, service};

/// Compiles `.proto` files to Rust in `OUT_DIR`: the one line of most build scripts.
///
/// `includes` are the directories that imports are looked for in; each of `protos` lies in one of
/// them. This is [`Options::compile`] with the default options.
///
/// # Errors
///
/// Those of [`Options::compile`].
pub fn compile_protos(
    protos: &[impl AsRef<Path>],
    includes: &[impl AsRef<Path>],
) -> io::Result<()> {
    Options::default().compile(protos, includes)
}

/// How `.proto` files become Rust.
///
/// ```no_run
/// # mod build_script {
/// use barewire::codegen::Options;
///
/// fn main() -> std::io::Result<()> {
///     let serialize = "#[derive(serde::Serialize)]";
///     let options = Options {
///         type_attributes: vec![(".my.shop.Order".to_owned(), serialize.to_owned())],
///         ..Options::default()
///     };
///     options.compile(&["proto/shop.proto"], &["proto"])
/// }
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the files go. `None`, the default, is the `OUT_DIR` that cargo gives a build script.
    pub out_dir: Option<PathBuf>,
    /// Whether services become a trait and a wrapper to serve them with, for programs whose
    /// `barewire` has the feature `server`. Default: yes.
    pub server: bool,
    /// Whether services become a client to call them with, for programs whose `barewire` has the
    /// feature `client`. Default: yes.
    pub client: bool,
    /// What is in Rust already and is not printed again: the name of a package or a message, and
    /// its path in Rust, as in `(".my.shop", "::shop_messages")`.
    pub extern_paths: Vec<(String, String)>,
    /// Attributes of types: the name of a type, or of what holds it, and what to print above it, as
    /// in `(".my.shop.Order", "#[derive(serde::Serialize)]")`. The name `"."` is all types.
    pub type_attributes: Vec<(String, String)>,
    /// Whether cargo is told, on standard output, to run the build script again when one of the
    /// files that were read has changed, and only then. Default: yes.
    pub rerun_if_changed: bool,
}

impl Options {
    /// Compiles `protos` and all that they import.
    ///
    /// A package is one file, written anew by each call: what shares a package goes into one call.
    ///
    /// # Errors
    ///
    /// A `.proto` file is broken or absent, two names become one in Rust, or a file cannot be
    /// written. The text is for whoever runs the build: it tells the file, the line and the column.
    pub fn compile(
        &self,
        protos: &[impl AsRef<Path>],
        includes: &[impl AsRef<Path>],
    ) -> io::Result<()> {
        let out_dir = self.find_out_dir()?;
        let includes = Includes::new(includes);
        let mut compiler = includes.read(protos)?;
        if self.rerun_if_changed {
            for path in compiler.files().filter_map(FileMetadata::path) {
                println!("cargo:rerun-if-changed={}", path.display());
            }
        }

        // Who asks for descriptors at run time wants names and types. Comments and positions, which
        // are most of the bytes, are for the printing alone.
        let descriptor_set = compiler.encode_file_descriptor_set();
        let files = compiler
            .include_source_info(true)
            .file_descriptor_set()
            .file;

        let stem = files
            .iter()
            .find(|file| is_asked_for(&compiler, file))
            .map_or(NO_PACKAGE, stem_of);
        let descriptor_set_name = format!("{stem}.descriptor_set.bin");
        let printed = self.print(files, &descriptor_set_name, &includes)?;

        write(&out_dir.join(descriptor_set_name), &descriptor_set)?;
        for (stem, text) in printed {
            write(&out_dir.join(format!("{stem}.rs")), text.as_bytes())?;
        }
        Ok(())
    }

    fn find_out_dir(&self) -> io::Result<PathBuf> {
        let from_cargo = || env::var_os("OUT_DIR").map(PathBuf::from);
        self.out_dir.clone().or_else(from_cargo).ok_or_else(|| {
            let text = "OUT_DIR is not set: cargo sets it for build scripts; \
                        elsewhere, say where the files go in Options::out_dir";
            problem(io::ErrorKind::NotFound, text)
        })
    }

    /// The Rust of each package, behind the name of its file without `.rs`.
    fn print(
        &self,
        mut files: Vec<FileDescriptorProto>,
        descriptor_set_name: &str,
        includes: &Includes,
    ) -> io::Result<BTreeMap<String, String>> {
        let comments = Comments::take_from(&mut files);
        let clashes = Rc::new(RefCell::new(Vec::new()));
        let mut config = self.config(&files);
        config.service_generator(Box::new(ServicePrinter {
            server: self.server,
            client: self.client,
            descriptor_set_name: descriptor_set_name.to_owned(),
            clashes: Rc::clone(&clashes),
        }));

        let requests = files
            .iter()
            .map(|file| (module_of(file), file.clone()))
            .collect();
        let printed = config.generate(requests)?;
        if let Some(clash) = clashes.take().first() {
            return Err(includes.explain_clash(clash, &files));
        }

        let mut texts = BTreeMap::new();
        for (module, text) in printed {
            let text = comments.put_back(&layout::format_messages(&text));
            let sources: Vec<_> = files
                .iter()
                .filter(|file| module_of(file) == module)
                .collect();
            if let Some(name) = layout::name_printed_twice(&text) {
                return Err(includes.explain_double(name, &sources));
            }
            let names: Vec<_> = sources.iter().map(|file| file.name()).collect();
            let heading = format!("// @generated by barewire from {}.", names.join(", "));
            let stem = sources.first().map_or(NO_PACKAGE, |file| stem_of(file));
            texts.insert(stem.to_owned(), format!("{heading}\n\n{text}"));
        }
        Ok(texts)
    }

    fn config(&self, files: &[FileDescriptorProto]) -> Config {
        let mut config = Config::new();
        for (name, path) in &self.extern_paths {
            config.extern_path(name, path);
        }
        for (name, attribute) in &self.type_attributes {
            config.type_attribute(name, attribute);
        }
        // A crate that asks the compiler for documentation gets it where the `.proto` has it.
        for name in files.iter().flat_map(types_without_comment) {
            config.type_attribute(name, "#[allow(missing_docs)]");
        }
        config
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            out_dir: None,
            server: true,
            client: true,
            extern_paths: Vec::new(),
            type_attributes: Vec::new(),
            rerun_if_changed: true,
        }
    }
}

/// What prost-build calls for each service, after the messages of its file.
struct ServicePrinter {
    server: bool,
    client: bool,
    descriptor_set_name: String,
    /// Clashes of names that were met; prost-build has no way for an error to leave.
    clashes: Rc<RefCell<Vec<MethodClash>>>,
}

impl ServiceGenerator for ServicePrinter {
    fn generate(&mut self, service: Service, text: &mut String) {
        self.clashes
            .borrow_mut()
            .extend(service::method_clash(&service));
        if self.server {
            service::print_server(&service, &self.descriptor_set_name, text);
        }
        if self.client {
            client::print_client(&service, text);
        }
    }
}

fn is_asked_for(compiler: &Compiler, file: &FileDescriptorProto) -> bool {
    compiler
        .files()
        .any(|known| known.name() == file.name() && !known.is_import())
}

fn module_of(file: &FileDescriptorProto) -> Module {
    Module::from_protobuf_package_name(file.package())
}

fn stem_of(file: &FileDescriptorProto) -> &str {
    if file.package().is_empty() {
        NO_PACKAGE
    } else {
        file.package()
    }
}

/// How the files of what has no package are called.
const NO_PACKAGE: &str = "_";

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    fs::write(path, bytes).map_err(|error| {
        problem(
            error.kind(),
            format!("cannot write {}: {error}", path.display()),
        )
    })
}
