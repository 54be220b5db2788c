//! `cargo xtask bench associations`: the memory of idle associations; see `tests/src/idle.rs`.

use crate::{shell, workspace};
use anyhow::Result;
use std::process::Command;

pub(crate) fn associations(arguments: &[&str]) -> Result<()> {
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
    shell::step("associating");
    let program = workspace::target_directory()?.join("release/associations_bench");
    shell::run(Command::new(program).args(arguments))
}
