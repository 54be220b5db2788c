//! A super node that lies: the real one, with what it tells others changed on the way out.
//!
//! Tests start it in the place of an honest one, with that one's configuration: `evil CONFIG LIE`. LIE is a file that
//! holds one word of [`lies`], read before each message, so that a test can have it tell the truth again.

mod lies;

use std::path::PathBuf;
use std::process::ExitCode;

use lies::Evil;
use p2psip::SuperNode;
use relay_node::{config, node};

#[tokio::main]
async fn main() -> ExitCode {
    // The same choice that relay-node makes.
    let _ = rustls::crypto::ring::default_provider().install_default();
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .init();
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let (Some(file), Some(lie)) = (arguments.next(), arguments.next()) else {
        eprintln!("usage: evil CONFIG LIE");
        return ExitCode::from(2);
    };
    let config = match config::load(&file, std::env::vars(), &[]) {
        Ok(config) => config,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    let Some(section) = config.super_node else {
        eprintln!("{} has no [super_node] section", file.display());
        return ExitCode::FAILURE;
    };
    let started = node::start_with(section, |core, now| {
        let overlay = core.anchor.overlay();
        Evil::new(SuperNode::new(core, now), overlay, lie)
    });
    match started.await {
        Ok(mut node) => {
            node.ended().await;
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
