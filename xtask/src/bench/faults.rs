//! `cargo xtask bench faults`: real super nodes killed, split and overrun in full; see `tests/src/bin/faults_bench.rs`.

use crate::{shell, workspace};
use anyhow::Result;
use std::process::Command;

pub(crate) fn faults(arguments: &[&str]) -> Result<()> {
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
    shell::step("breaking networks on this machine");
    let program = workspace::target_directory()?.join("release/faults_bench");
    shell::run(Command::new(program).args(arguments))
}
