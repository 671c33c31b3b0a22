//! What ntex-grpc's generator, which needs protoc, would make of `bench.proto`: its unary call, in the
//! shape that the generator prints.

use ntex_grpc::types::DefaultValue;
use ntex_grpc::{
    BytePages, ByteString, Bytes, DecodeError, Message, MethodDef, NativeType, ServiceDef, encoding,
};

pub struct Bench;

pub enum BenchMethods {
    SayHello(SayHello),
}

impl ServiceDef for Bench {
    const NAME: &'static str = "bench.Bench";
    type Methods = BenchMethods;

    fn method_by_name(name: &str) -> Option<BenchMethods> {
        (name == SayHello::NAME).then_some(BenchMethods::SayHello(SayHello))
    }
}

pub struct SayHello;

impl MethodDef for SayHello {
    const NAME: &'static str = "SayHello";
    const PATH: ByteString = ByteString::from_static("/bench.Bench/SayHello");
    type Input = HelloRequest;
    type Output = HelloReply;
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct HelloRequest {
    pub name: ByteString,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct HelloReply {
    pub message: ByteString,
}

impl Message for HelloRequest {
    fn write(&self, into: &mut BytePages) {
        NativeType::serialize(&self.name, 1, DefaultValue::Default, into);
    }

    fn read(from: &mut Bytes) -> Result<Self, DecodeError> {
        let mut read = Self::default();
        while !from.is_empty() {
            match encoding::decode_key(from)? {
                (1, wire_type) => NativeType::deserialize(&mut read.name, 1, wire_type, from)?,
                (tag, wire_type) => encoding::skip_field(wire_type, tag, from)?,
            }
        }
        Ok(read)
    }

    fn encoded_len(&self) -> usize {
        NativeType::serialized_len(&self.name, 1, DefaultValue::Default)
    }
}

impl Message for HelloReply {
    fn write(&self, into: &mut BytePages) {
        NativeType::serialize(&self.message, 1, DefaultValue::Default, into);
    }

    fn read(from: &mut Bytes) -> Result<Self, DecodeError> {
        let mut read = Self::default();
        while !from.is_empty() {
            match encoding::decode_key(from)? {
                (1, wire_type) => NativeType::deserialize(&mut read.message, 1, wire_type, from)?,
                (tag, wire_type) => encoding::skip_field(wire_type, tag, from)?,
            }
        }
        Ok(read)
    }

    fn encoded_len(&self) -> usize {
        NativeType::serialized_len(&self.message, 1, DefaultValue::Default)
    }
}
