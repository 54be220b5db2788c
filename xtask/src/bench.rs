//! Measurements beside other projects' software, on the same machine in the same run.

mod call;
mod live;
mod overlay;
mod packages;
mod sip;
mod size;
mod wasm;

use std::process::Command;

use anyhow::Result;

use crate::{shell, tools, workspace};

pub(crate) use call::call;
pub(crate) use live::overlay_live;
pub(crate) use overlay::overlay;
pub(crate) use sip::sip;
pub(crate) use size::size;

/// The memory of idle associations; see `tests/src/idle.rs`.
pub(crate) fn associations(arguments: &[&str]) -> Result<()> {
    program("associations_bench", "associating", arguments)
}

/// Real super nodes killed, split and overrun in full; see `tests/src/bin/faults_bench.rs`.
pub(crate) fn faults(arguments: &[&str]) -> Result<()> {
    program(
        "faults_bench",
        "breaking networks on this machine",
        arguments,
    )
}

/// What relaying costs, beside coturn; see `tests/src/turning.rs`.
pub(crate) fn turn(arguments: &[&str]) -> Result<()> {
    tools::packages(&[(&["turnserver"], "coturn")])?;
    program("turn_bench", "relaying", arguments)
}

/// Calls behind every kind of NAT; see `tests/src/nat.rs`.
pub(crate) fn nat(arguments: &[&str]) -> Result<()> {
    tools::packages(&[
        (&["nft"], "nftables"),
        (&["chromium"], "chromium"),
        (&["chromedriver"], "chromium-driver"),
    ])?;
    crate::web::build(crate::web::module::Purpose::Serving)?;
    program("nat_bench", "calling behind NATs", arguments)
}

/// Runs one of the programs of `tests` that measure real super nodes.
fn program(name: &str, doing: &str, arguments: &[&str]) -> Result<()> {
    shell::step("building the node and the bench");
    let build = [
        "build",
        "--release",
        "-p",
        "relay-node",
        "-p",
        "tests",
        "--bins",
    ];
    shell::run(workspace::cargo().args(build))?;
    shell::step(doing);
    let program = workspace::target_directory()?.join("release").join(name);
    shell::run(Command::new(program).args(arguments))
}
