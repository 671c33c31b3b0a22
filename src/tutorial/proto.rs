//! What the generator prints for the tutorials' `.proto` files, a module for each package.

/// `chat.proto`
pub mod chat {
    barewire::include_proto!("chat");
}

/// `contact.proto`, which has no package.
pub mod contact {
    barewire::include_proto!("_");
}

/// `greet.proto`
pub mod greet {
    barewire::include_proto!("greet");
}

/// `hello.proto`
pub mod hello {
    barewire::include_proto!("hello");
}

/// `hellostreamingworld.proto`
pub mod hellostreamingworld {
    barewire::include_proto!("hellostreamingworld");
}

/// `helloworld.proto`
pub mod helloworld {
    barewire::include_proto!("helloworld");
}

/// `number_stream.proto`
pub mod number_stream {
    barewire::include_proto!("number_stream");
}

/// `route_guide.proto`
pub mod routeguide {
    barewire::include_proto!("routeguide");
}

/// `sum_stream.proto`
pub mod sum_stream {
    barewire::include_proto!("sum_stream");
}
