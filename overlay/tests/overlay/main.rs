//! The overlay in virtual time, with real certificates and signatures.

mod authority;
mod node;
mod ring;
mod world;
