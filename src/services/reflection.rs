//! `grpc.reflection.v1.ServerReflection`: tells tools such as grpcurl which services there are and
//! what their messages look like, so that they need no `.proto` files.
//!
//! ```text
//!   → list_services                          ← shop.Orders, grpc.health.v1.Health, …
//!   → file_containing_symbol "shop.Orders"   ← shop.proto and what it imports, as descriptors
//!   → file_containing_symbol "shop.Stock"    ← error 5: the stream goes on
//! ```
//!
//! Answers come in the order of the questions, on a stream that lasts as long as the client likes.
//! Files leave as they were compiled, byte for byte, because options that this crate does not know
//! would not survive decoding.
//!
//! `v1alpha` is the same service under its first name: the same messages with the same numbers.
//! Many tools still ask for it, some for nothing else, so both are served, by the same code.
//!
//! Spec: gRPC-Reflection; gRFC A15.

use std::collections::HashSet;
use std::fmt;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use crate::{Code, Inbound, Replies, Request, Server, ServerCall, Service, Serving, Status};

use descriptor_pool::DescriptorPool;
use generated::server_reflection_request::MessageRequest;
use generated::server_reflection_response::MessageResponse;
use generated::{
    ErrorResponse, ExtensionNumberResponse, FileDescriptorResponse, ListServiceResponse,
    ServerReflection, ServerReflectionRequest, ServerReflectionResponse, ServerReflectionServer,
    ServiceResponse,
};

mod descriptor_pool;
#[path = "generated/grpc.reflection.v1.rs"]
#[expect(
    clippy::enum_variant_names,
    unreachable_pub,
    reason = "what is generated has the names of its file, and does not know where it will lie"
)]
mod generated;

impl Server {
    /// Serves reflection, in both versions, of the services added so far: it comes last.
    ///
    /// # Example
    ///
    /// ```no_run
    /// # use barewire::{Server, Service};
    /// # async fn run(greeter: impl Service) -> std::io::Result<()> {
    /// let listener = tokio::net::TcpListener::bind("127.0.0.1:50051").await?;
    /// Server::new().add(greeter).reflection().serve(listener).await
    /// # }
    /// ```
    #[must_use]
    pub fn reflection(self) -> Self {
        let [v1, v1alpha] = Reflection::of(&self);
        self.add(v1).add(v1alpha)
    }
}

/// The reflection service, in one of its versions.
///
/// [`Server::reflection`] adds both to the server that they are about. To tell of one server on
/// another, such as one for administrators, add them there by hand.
#[derive(Clone)]
pub struct Reflection {
    version: Version,
    calls: Arc<ServerReflectionServer<Answers>>,
}

#[derive(Clone, Copy, Debug)]
enum Version {
    V1,
    V1Alpha,
}

impl Reflection {
    /// Reflection of the services that `server` has by now, and of itself: v1, then v1alpha.
    ///
    /// A service without descriptors is listed, but nothing more can be said of it. Where several
    /// have descriptors of a file of one name, the first is taken.
    pub fn of(server: &Server) -> [Self; 2] {
        let versions = [Version::V1, Version::V1Alpha];
        let mut services: Vec<_> = server
            .service_names()
            .chain(versions.map(Version::name))
            .collect();
        services.sort_unstable();
        services.dedup();
        let descriptors = server
            .file_descriptor_sets()
            .chain(versions.map(Version::file_descriptor_set));
        let calls = Arc::new(ServerReflectionServer(Answers {
            services,
            files: DescriptorPool::new(descriptors),
        }));
        versions.map(|version| Self {
            version,
            calls: Arc::clone(&calls),
        })
    }
}

impl Service for Reflection {
    fn name(&self) -> &'static str {
        self.version.name()
    }

    // What is generated for v1 goes by the method, which v1alpha has under the same name.
    fn serve(&self, call: ServerCall) -> Serving<'_> {
        self.calls.serve(call)
    }

    fn file_descriptor_set(&self) -> &'static [u8] {
        self.version.file_descriptor_set()
    }
}

impl fmt::Debug for Reflection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ServerReflectionServer(answers) = &*self.calls;
        f.debug_struct("Reflection")
            .field("version", &self.version)
            .field("services", &answers.services)
            .finish_non_exhaustive()
    }
}

impl Version {
    fn name(self) -> &'static str {
        match self {
            Self::V1 => "grpc.reflection.v1.ServerReflection",
            Self::V1Alpha => "grpc.reflection.v1alpha.ServerReflection",
        }
    }

    fn file_descriptor_set(self) -> &'static [u8] {
        match self {
            Self::V1 => include_bytes!("generated/grpc.reflection.v1.descriptor_set.bin"),
            Self::V1Alpha => include_bytes!("generated/grpc.reflection.v1alpha.descriptor_set.bin"),
        }
    }
}

/// What is there to be told.
struct Answers {
    /// Sorted.
    services: Vec<&'static str>,
    files: DescriptorPool,
}

impl ServerReflection for Answers {
    async fn server_reflection_info(
        &self,
        mut requests: Request<Inbound<ServerReflectionRequest>>,
        mut replies: Replies<ServerReflectionResponse>,
    ) -> Result<(), Status> {
        let mut draining = pin!(requests.draining());
        let mut sent = HashSet::new();
        loop {
            // The next question and the drain race. A question that has come is answered; a client
            // that only keeps its stream open must not hold up the drain.
            let next = poll_fn(|cx| match pin!(requests.next()).poll(cx) {
                Poll::Ready(next) => Poll::Ready(next),
                Poll::Pending => draining
                    .as_mut()
                    .poll(cx)
                    .map(|()| Err(Status::unavailable("the server is shutting down"))),
            });
            let Some(request) = next.await? else {
                return Ok(());
            };
            let Some(question) = &request.message_request else {
                let why = "the reflection request asks nothing that this server knows of";
                return Err(Status::invalid_argument(why));
            };
            let answer = self.answer(question, &mut sent).unwrap_or_else(not_found);
            replies
                .send(ServerReflectionResponse {
                    valid_host: request.host.clone(),
                    message_response: Some(answer),
                    original_request: Some(request),
                })
                .await?;
        }
    }
}

impl Answers {
    /// The answer, or what could not be found. `sent` are the files that this client has by now.
    fn answer<'a>(
        &'a self,
        question: &MessageRequest,
        sent: &mut HashSet<&'a str>,
    ) -> Result<MessageResponse, &'static str> {
        let (file, otherwise) = match question {
            MessageRequest::FileByFilename(name) => {
                (self.files.file(name), "there is no file of this name")
            }
            MessageRequest::FileContainingSymbol(symbol) => (
                self.files.file_containing_symbol(symbol),
                "no file declares this symbol",
            ),
            MessageRequest::FileContainingExtension(extension) => {
                let (extended, number) = (&extension.containing_type, extension.extension_number);
                let file = self.files.file_containing_extension(extended, number);
                (file, "no file declares this extension")
            }
            MessageRequest::AllExtensionNumbersOfType(name) => return self.extensions_of(name),
            // It comes with a text, which has no meaning.
            MessageRequest::ListServices(_) => return Ok(self.list_services()),
        };
        let file_descriptor_proto = self.files.with_imports(file.ok_or(otherwise)?, sent);
        Ok(MessageResponse::FileDescriptorResponse(
            FileDescriptorResponse {
                file_descriptor_proto,
            },
        ))
    }

    fn extensions_of(&self, name: &str) -> Result<MessageResponse, &'static str> {
        let numbers = self.files.extension_numbers(name);
        let numbers = numbers.ok_or("no file declares a message of this name")?;
        Ok(MessageResponse::AllExtensionNumbersResponse(
            ExtensionNumberResponse {
                base_type_name: name.to_owned(),
                extension_number: numbers.collect(),
            },
        ))
    }

    fn list_services(&self) -> MessageResponse {
        let service = |name: &&str| ServiceResponse {
            name: (*name).to_owned(),
        };
        MessageResponse::ListServicesResponse(ListServiceResponse {
            service: self.services.iter().map(service).collect(),
        })
    }
}

// The question is not repeated in the text: it stands beside it in the answer, at any length.
fn not_found(what: &str) -> MessageResponse {
    MessageResponse::ErrorResponse(ErrorResponse {
        error_code: Code::NotFound.number().into(),
        error_message: what.to_owned(),
    })
}
