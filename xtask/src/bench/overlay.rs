//! `cargo xtask bench overlay`: the overlay's state machines in virtual time; see `bench/src/overlay.rs`.

use crate::{shell, workspace};
use anyhow::Result;

pub(crate) fn overlay(arguments: &[&str]) -> Result<()> {
    shell::step("building the bench");
    let mut build = workspace::cargo();
    shell::run(build.args(["build", "--release", "-p", "bench"]))?;
    shell::step("running the overlay in virtual time");
    let mut run = workspace::cargo();
    run.args([
        "run",
        "--quiet",
        "--release",
        "-p",
        "bench",
        "--",
        "overlay",
    ]);
    shell::run(run.args(arguments))
}
