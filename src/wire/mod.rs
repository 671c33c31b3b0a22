//! The grammar of gRPC over HTTP/2.
