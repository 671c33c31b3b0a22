//! gRPC on the bare wire.

extern crate self as barewire;

#[cfg(feature = "codegen")]
pub mod codegen;
pub mod spec;
pub mod wire;

/// Brings in what `codegen` printed for a package: its messages, and its services.
///
/// The argument is the package as the `.proto` file has it. What has no package is `"_"`.
///
/// ```ignore
/// mod shop {
///     barewire::include_proto!("my.shop");
/// }
///
/// mod contact {
///     barewire::include_proto!("_");
/// }
/// ```
///
/// A package that uses messages of another looks for it where the packages' names say: what is
/// printed for `my.shop` finds `my.bank.Account` at `super::bank::Account`. So packages that import
/// each other are brought into modules that lie as the packages do:
///
/// ```ignore
/// mod my {
///     pub mod bank {
///         barewire::include_proto!("my.bank");
///     }
///     pub mod shop {
///         barewire::include_proto!("my.shop");
///     }
/// }
/// ```
#[macro_export]
macro_rules! include_proto {
    ($package:literal) => {
        ::std::include!(::std::concat!(::std::env!("OUT_DIR"), "/", $package, ".rs"));
    };
}
