//! The program `relay-node`.

use clap::Parser;

fn main() -> std::process::ExitCode {
    // Several crates would otherwise each look for a default of their own.
    let _ = rustls::crypto::ring::default_provider().install_default();
    relay_node::cli::main(relay_node::cli::Arguments::parse())
}
