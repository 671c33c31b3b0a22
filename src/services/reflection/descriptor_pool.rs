//! All `.proto` files that a server knows, and where to find what in them.
//!
//! ```text
//!   FileDescriptorSet ──▶ bytes of a file ──▶ kept, to be handed out
//!                                        └──▶ decoded once: which symbols, extensions, imports
//! ```
//!
//! Names are fully qualified, without a leading dot. A value of an enum stands beside its enum, not
//! within: `shop.RED` of `shop.Colour`. So it is in `.proto` files.
//!
//! Spec: gRPC-Reflection; google/protobuf/descriptor.proto.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use prost::Message;
use prost::bytes::Bytes;
use prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto,
    ServiceDescriptorProto,
};

/// The files, by all that one may look for.
#[derive(Default)]
pub(super) struct DescriptorPool {
    files: HashMap<String, Arc<File>>,
    symbols: HashMap<String, Arc<File>>,
    /// The extensions of each message, by number. A message without any is here too.
    extensions: HashMap<String, BTreeMap<i32, Arc<File>>>,
}

/// A file, as it was compiled.
pub(super) struct File {
    name: String,
    imports: Vec<String>,
    descriptor: Bytes,
}

/// `google.protobuf.FileDescriptorSet`, with its files left as bytes.
#[derive(Clone, PartialEq, Message)]
struct FileDescriptorSet {
    #[prost(bytes = "bytes", repeated, tag = "1")]
    file: Vec<Bytes>,
}

impl DescriptorPool {
    /// Takes in `sets`. Most of them share files; the first of each name is taken.
    pub(super) fn new(sets: impl Iterator<Item = &'static [u8]>) -> Self {
        let mut pool = Self::default();
        for set in sets {
            match FileDescriptorSet::decode(Bytes::from_static(set)) {
                Ok(set) => set.file.into_iter().for_each(|file| pool.add(file)),
                Err(error) => tracing::warn!(%error, "a service has descriptors that are none"),
            }
        }
        pool
    }

    pub(super) fn file(&self, name: &str) -> Option<&File> {
        self.files.get(name).map(|file| &**file)
    }

    pub(super) fn file_containing_symbol(&self, symbol: &str) -> Option<&File> {
        self.symbols.get(symbol).map(|file| &**file)
    }

    pub(super) fn file_containing_extension(&self, extended: &str, number: i32) -> Option<&File> {
        let file = self.extensions.get(extended)?.get(&number)?;
        Some(file)
    }

    /// The numbers of all extensions of a message, in order; `None` if there is no such message.
    pub(super) fn extension_numbers(&self, message: &str) -> Option<impl Iterator<Item = i32>> {
        Some(self.extensions.get(message)?.keys().copied())
    }

    /// The descriptors of `asked` and of all that it imports, directly or not, but for imports that
    /// are in `sent` by their names. Afterwards what is returned is in it too.
    pub(super) fn with_imports<'a>(
        &'a self,
        asked: &'a File,
        sent: &mut HashSet<&'a str>,
    ) -> Vec<Vec<u8>> {
        sent.insert(&asked.name);
        let mut descriptors = vec![asked.descriptor.to_vec()];
        let mut waiting = vec![asked];
        while let Some(file) = waiting.pop() {
            let known = file.imports.iter().filter_map(|name| self.file(name));
            for import in known.filter(|import| sent.insert(&import.name)) {
                descriptors.push(import.descriptor.to_vec());
                waiting.push(import);
            }
        }
        descriptors
    }

    fn add(&mut self, bytes: Bytes) {
        let descriptor = match FileDescriptorProto::decode(bytes.clone()) {
            Ok(descriptor) => descriptor,
            Err(error) => {
                tracing::warn!(%error, "a service has a file descriptor that is none");
                return;
            }
        };
        if self.files.contains_key(descriptor.name()) {
            return;
        }
        let file = Arc::new(File {
            name: descriptor.name().to_owned(),
            imports: descriptor.dependency.clone(),
            descriptor: bytes,
        });
        self.files.insert(file.name.clone(), Arc::clone(&file));
        Entries { pool: self, file }.file(&descriptor);
    }
}

/// Enters what a file declares.
struct Entries<'a> {
    pool: &'a mut DescriptorPool,
    file: Arc<File>,
}

impl Entries<'_> {
    fn file(&mut self, file: &FileDescriptorProto) {
        let package = file.package();
        file.message_type
            .iter()
            .for_each(|message| self.message(package, message));
        file.enum_type
            .iter()
            .for_each(|declared| self.enumeration(package, declared));
        file.extension
            .iter()
            .for_each(|field| self.extension(package, field));
        file.service
            .iter()
            .for_each(|service| self.service(package, service));
    }

    fn message(&mut self, scope: &str, message: &DescriptorProto) {
        let name = self.symbol(scope, message.name());
        for field in &message.field {
            self.symbol(&name, field.name());
        }
        for oneof in &message.oneof_decl {
            self.symbol(&name, oneof.name());
        }
        message
            .nested_type
            .iter()
            .for_each(|nested| self.message(&name, nested));
        message
            .enum_type
            .iter()
            .for_each(|nested| self.enumeration(&name, nested));
        message
            .extension
            .iter()
            .for_each(|field| self.extension(&name, field));
        self.pool.extensions.entry(name).or_default();
    }

    fn enumeration(&mut self, scope: &str, declared: &EnumDescriptorProto) {
        self.symbol(scope, declared.name());
        for value in &declared.value {
            self.symbol(scope, value.name());
        }
    }

    fn extension(&mut self, scope: &str, field: &FieldDescriptorProto) {
        self.symbol(scope, field.name());
        // Compilers write the dot that says that a name is fully qualified.
        let extended = field.extendee();
        let extended = extended.strip_prefix('.').unwrap_or(extended).to_owned();
        let numbers = self.pool.extensions.entry(extended).or_default();
        let file = numbers.entry(field.number());
        file.or_insert_with(|| Arc::clone(&self.file));
    }

    fn service(&mut self, package: &str, service: &ServiceDescriptorProto) {
        let name = self.symbol(package, service.name());
        for method in &service.method {
            self.symbol(&name, method.name());
        }
    }

    /// Enters a name, and yields it in full.
    fn symbol(&mut self, scope: &str, name: &str) -> String {
        let name = match scope {
            "" => name.to_owned(),
            _ => format!("{scope}.{name}"),
        };
        let file = self.pool.symbols.entry(name.clone());
        file.or_insert_with(|| Arc::clone(&self.file));
        name
    }
}
