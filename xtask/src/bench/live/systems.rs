//! The three systems: how their nodes are built and started.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use super::NODES;
use super::space::Space;
use crate::{shell, workspace};

/// One of those that are measured.
pub(super) trait System {
    fn name(&self) -> &'static str;
    /// What starts its node with this number, told of the first one if it is another.
    fn command(&self, space: &Space, index: u64, first: Option<&str>) -> Result<Command>;
}

/// Super nodes of this project, of an overlay without a login server.
pub(super) struct Ours {
    program: PathBuf,
    directory: PathBuf,
}

impl Ours {
    pub(super) fn build(directory: &Path) -> Result<Self> {
        shell::step("building the super node (release)");
        let mut cargo = workspace::cargo();
        cargo.args(["build", "--release", "--package", "relay-node"]);
        shell::run(cargo.args(["--bins", "--example", "console"]))?;
        let built = workspace::target_directory()?.join("release");
        let directory = directory.join("super-nodes");
        let ca = |arguments: &[&str], out: &Path| {
            let mut relay_node = Command::new(built.join("relay-node"));
            relay_node.arg("ca").args(arguments).arg(out);
            shell::read(relay_node.args(["--ca"]).arg(directory.join("ca")))
        };
        shell::step("issuing certificates");
        let mut new = Command::new(built.join("relay-node"));
        new.args(["ca", "new", "--domain", "example.org", "--ca"]);
        shell::read(new.arg(directory.join("ca")))?;
        for index in 0..NODES {
            let out = directory.join(index.to_string());
            ca(&["issue", "super-node", "--out"], &out)?;
        }
        Ok(Self {
            program: built.join("examples/console"),
            directory,
        })
    }
}

impl System for Ours {
    fn name(&self) -> &'static str {
        "Partyline"
    }

    fn command(&self, space: &Space, index: u64, first: Option<&str>) -> Result<Command> {
        let data = self.directory.join(index.to_string());
        let seeds: Vec<&str> = first.into_iter().collect();
        let text = format!(
            "[super_node]\ndata = {data:?}\nlisten = \"127.0.0.1:0\"\nurl = \"http://127.0.0.1:0\"\n\
             stun = \"127.0.0.1:0\"\nmulticast = false\nseeds = {seeds:?}\n"
        );
        let config = self.directory.join(format!("{index}.toml"));
        fs::write(&config, text)?;
        let mut command = space.command(&self.program);
        command.arg(config);
        Ok(command)
    }
}

/// libp2p's Kademlia over QUIC.
pub(super) struct LibP2p {
    program: PathBuf,
}

impl LibP2p {
    pub(super) fn build() -> Result<Self> {
        shell::step("building libp2p's node (release; some minutes when it is the first time)");
        let manifest = workspace::root().join("bench/peers/libp2p/Cargo.toml");
        let built = workspace::target_directory()?.join("peers");
        let mut cargo = workspace::cargo();
        cargo.args(["build", "--release", "--locked", "--manifest-path"]);
        shell::run(cargo.arg(manifest).arg("--target-dir").arg(&built))?;
        Ok(Self {
            program: built.join("release/libp2p-peer"),
        })
    }
}

impl System for LibP2p {
    fn name(&self) -> &'static str {
        "libp2p kad"
    }

    fn command(&self, space: &Space, _index: u64, _first: Option<&str>) -> Result<Command> {
        Ok(space.command(&self.program))
    }
}

/// OpenDHT, by Debian's library.
pub(super) struct OpenDht {
    program: PathBuf,
}

impl OpenDht {
    pub(super) fn build(directory: &Path) -> Result<Self> {
        shell::step("building OpenDHT's node");
        let program = directory.join("opendht-node");
        let source = workspace::root().join("bench/peers/opendht/node.cpp");
        let mut compiler = Command::new("g++");
        compiler.args(["-std=c++17", "-O2", "-o"]).arg(&program);
        // Where Debian keeps the headers that those of OpenDHT include.
        compiler.args(["-I/usr/include/p11-kit-1", "-I/usr/include/jsoncpp"]);
        shell::run(compiler.arg(source).args(["-lopendht", "-lpthread"]))?;
        Ok(Self { program })
    }
}

impl System for OpenDht {
    fn name(&self) -> &'static str {
        "OpenDHT"
    }

    fn command(&self, space: &Space, _index: u64, _first: Option<&str>) -> Result<Command> {
        Ok(space.command(&self.program))
    }
}
