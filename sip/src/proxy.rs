//! The proxy core.

mod target;

pub use target::Target;
