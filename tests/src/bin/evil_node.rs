//! A super node that lies, started from the configuration of an honest one: `evil-node CONFIG WISHES`.

use p2psip::SuperNode;
use relay_node::{config, node};
use std::path::PathBuf;
use std::process::ExitCode;
use tests::Evil;

#[tokio::main]
async fn main() -> ExitCode {
    // The same choice that relay-node makes.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let (Some(file), Some(wishes)) = (arguments.next(), arguments.next()) else {
        eprintln!("usage: evil-node CONFIG WISHES");
        return ExitCode::from(2);
    };
    let config = match config::load(&file, [], &[]) {
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
        Evil::new(SuperNode::new(core, now), overlay, wishes)
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
