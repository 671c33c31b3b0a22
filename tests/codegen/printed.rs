//! What is printed compiles: what is committed in `printed/`, with names and comments that are hard
//! to print, and what the build script of this package printed of the tutorials' services.
//!
//! If what is committed does not compile, `--no-default-features --features codegen` leaves this out.

use barewire::{Inbound, Replies, Request, Response, Service, Status};
use protox::prost_reflect::DescriptorPool;

/// Names that are keywords, or are those of what Rust code uses.
pub mod keywords {
    include!("printed/codegen.keywords.rs");
}

/// Comments that rustdoc would stumble over.
pub mod comments {
    include!("printed/codegen.comments.rs");
}

/// Of the tutorials: a service without a package, and with a message called `Result`.
pub mod contact {
    barewire::include_proto!("_");
}

/// Of the tutorials: each of the four kinds of call.
pub mod routeguide {
    barewire::include_proto!("routeguide");
}

struct Silent;

impl contact::Contact for Silent {
    async fn send_status(
        &self,
        _: Request<Inbound<contact::ClientMsg>>,
        _: Replies<contact::Result>,
    ) -> Result<(), Status> {
        Ok(())
    }

    async fn get_task(
        &self,
        _: Request<contact::Empty>,
        _: Replies<contact::ServerMsg>,
    ) -> Result<(), Status> {
        Ok(())
    }

    async fn tell_result(
        &self,
        _: Request<Inbound<contact::ClientMsg>>,
    ) -> Result<Response<contact::Empty>, Status> {
        Ok(contact::Empty {}.into())
    }
}

impl keywords::Self_ for Silent {
    async fn now(&self, _: Request<()>) -> Result<Response<prost_types::Timestamp>, Status> {
        Ok(prost_types::Timestamp::default().into())
    }

    async fn tell(&self, _: Request<String>) -> Result<Response<()>, Status> {
        Ok(().into())
    }

    async fn any(
        &self,
        _: Request<Inbound<prost_types::Any>>,
        _: Replies<Vec<u8>>,
    ) -> Result<(), Status> {
        Ok(())
    }
}

impl keywords::Nothing for Silent {}

#[test]
fn a_wrapper_knows_its_name_and_its_descriptors() {
    let services: [(Box<dyn Service>, &str); 3] = [
        (Box::new(contact::ContactServer(Silent)), "Contact"),
        (
            Box::new(keywords::SelfServer(Silent)),
            "codegen.keywords.Self",
        ),
        (
            Box::new(keywords::NothingServer(Silent)),
            "codegen.keywords.Nothing",
        ),
    ];
    for (service, name) in services {
        assert_eq!(service.name(), name);
        let pool = DescriptorPool::decode(service.file_descriptor_set()).unwrap();
        assert!(pool.get_service_by_name(name).is_some(), "{name}");
    }
}
