//! What one call says, and what it is to be answered.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use harness::messages::{Chunk, DownloadRequest, HelloReply, HelloRequest, UploadReply};
use harness::options::Options;
use harness::{Fault, payload, text};
use prost::Message;

use crate::frames::Field;

/// One kind of call. All calls of a run are alike.
pub struct Call {
    pub fields: Vec<Field>,
    pub tls: bool,
    /// A Length-Prefixed-Message.
    pub message: Vec<u8>,
    /// How often it is sent; without one the stream stays open and idle.
    pub messages: u32,
    /// Whether each waits for the answer to the one before it.
    pub in_turn: bool,
    /// Bytes of DATA in the answer to each message, if calls are answered message by message; else to
    /// all of them. `None`: as many as the first call was answered.
    pub answer: Option<usize>,
}

impl Call {
    /// The word is one of `hello`, `download`, `upload` and `echo`.
    pub fn from_options(word: &str, options: &Options) -> Result<Self, Fault> {
        let (size, chunks) = (options.number("size", 5)?, options.number("chunks", 1)?);
        let chunk = Chunk {
            payload: payload(size),
        };
        let (method, message, answer) = match word {
            "hello" => {
                // Which reads as fields of two bytes to whoever does not know better.
                let name = match options.text("repeated") {
                    Some(_) => "x".repeat(usize::try_from(size)?),
                    None => text(size),
                };
                let reply = HelloReply {
                    message: format!("Hello, {name}!"),
                };
                (
                    "SayHello",
                    HelloRequest { name }.encode_to_vec(),
                    framed(&reply),
                )
            }
            "download" => {
                let request = DownloadRequest {
                    chunks,
                    chunk_bytes: size,
                    through_channel: options.text("through_channel").is_some(),
                };
                let answer = framed(&chunk) * usize::try_from(chunks)?;
                ("Download", request.encode_to_vec(), answer)
            }
            "upload" => {
                let payload_bytes = u64::from(size) * u64::from(chunks);
                let reply = UploadReply { payload_bytes };
                ("Upload", chunk.encode_to_vec(), framed(&reply))
            }
            "echo" => ("Echo", chunk.encode_to_vec(), framed(&chunk)),
            word => return Err(format!("{word:?} is no kind of call").into()),
        };
        let gzip = options.text("gzip").is_some();
        let tls = options.text("roots").is_some();
        Ok(Self {
            fields: fields(method, gzip, options.text("timeout")),
            tls,
            message: if gzip {
                compress(&message)?
            } else {
                frame(0, &message)?
            },
            messages: if word == "upload" || word == "echo" {
                chunks
            } else {
                1
            },
            in_turn: word == "echo",
            answer: Some(answer).filter(|_| !gzip),
        })
    }
}

fn fields(method: &str, gzip: bool, timeout: Option<&str>) -> Vec<Field> {
    let field = |name, value: &str| Field {
        name,
        value: value.to_owned(),
        changes: false,
    };
    let mut fields = vec![
        field(":path", &format!("/bench.Bench/{method}")),
        field(":authority", "localhost"),
        field("content-type", "application/grpc"),
        field("te", "trailers"),
        field("user-agent", "load/0.0"),
    ];
    if gzip {
        fields.push(field("grpc-encoding", "gzip"));
        fields.push(field("grpc-accept-encoding", "gzip"));
    }
    if let Some(timeout) = timeout {
        let changes = true;
        fields.push(Field {
            changes,
            ..field("grpc-timeout", timeout)
        });
    }
    fields
}

fn frame(flag: u8, message: &[u8]) -> Result<Vec<u8>, Fault> {
    let mut framed = vec![flag];
    framed.extend_from_slice(&u32::try_from(message.len())?.to_be_bytes());
    framed.extend_from_slice(message);
    Ok(framed)
}

fn compress(message: &[u8]) -> Result<Vec<u8>, Fault> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(message)?;
    frame(1, &encoder.finish()?)
}

/// The length of a message with its prefix.
fn framed(message: &impl Message) -> usize {
    5 + message.encoded_len()
}
