//! What the generator prints for the interop tests' `.proto` files. Packages that use each other's
//! messages lie as their names say.

/// `grpc.testing`
pub mod testing {
    barewire::include_proto!("grpc.testing");
}

/// `xds`
pub mod xds {
    /// `xds.data`
    pub mod data {
        /// `xds.data.orca`
        pub mod orca {
            /// `xds.data.orca.v3`
            pub mod v3 {
                barewire::include_proto!("xds.data.orca.v3");
            }
        }
    }
    /// `xds.service`
    pub mod service {
        /// `xds.service.orca`
        pub mod orca {
            /// `xds.service.orca.v3`
            pub mod v3 {
                barewire::include_proto!("xds.service.orca.v3");
            }
        }
    }
}
