//! `cargo xtask test`: every check that the project has, or the parts that are named.
//!
//! Everything that is built for this machine is built by one selection, [`workspace::SELECTION`], so that each
//! dependency is compiled with one set of features: naming a package would choose another set and build half of them
//! again.

use crate::web::module::{self, Purpose};
use crate::{shell, tools, web, workspace};
use anyhow::{Context, Result, bail};
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

type Part = (&'static str, fn(&mut Count) -> Result<()>);

const PARTS: &[Part] = &[
    ("fmt", fmt),
    ("layers", layers),
    // The node holds the page: built before the node is, so that this is built once.
    ("web", |_| web::build(Purpose::Serving).map(|_| ())),
    ("clippy", clippy),
    ("build", |_| build()),
    ("unit", unit),
    ("relay", relay),
    ("phones", phones),
    ("browser", browser),
];

/// The crates that must compile where there is no operating system.
const CORES: &[&str] = &["machine", "credential", "overlay", "sip"];
const BARE_TARGET: &str = "wasm32v1-none";

/// How many tests ran, as cargo's own result lines tell.
#[derive(Default)]
struct Count {
    passed: u64,
    failed: u64,
    ignored: u64,
}

pub(crate) fn run(names: &[&str]) -> Result<()> {
    if let Some(unknown) = names
        .iter()
        .find(|name| PARTS.iter().all(|(part, _)| part != *name))
    {
        let parts: Vec<&str> = PARTS.iter().map(|(part, _)| *part).collect();
        bail!(
            "there is no part '{unknown}'; the parts are: {}",
            parts.join(" ")
        );
    }
    let mut count = Count::default();
    let mut report = Vec::new();
    let whole = shell::Stopwatch::start();
    for (name, part) in PARTS
        .iter()
        .filter(|(part, _)| names.is_empty() || names.contains(part))
    {
        shell::step(&format!("test part: {name}"));
        let watch = shell::Stopwatch::start();
        let result = part(&mut count);
        if let Err(error) = &result {
            eprintln!("{name}: {error:#}");
        }
        report.push((*name, watch.elapsed(), result.is_ok()));
    }
    println!();
    for (name, took, good) in &report {
        println!(
            "{name:>10} {:>10}  {}",
            minutes(*took),
            if *good { "ok" } else { "FAILED" }
        );
    }
    let Count {
        passed,
        failed,
        ignored,
    } = count;
    println!(
        "tests: {passed} passed, {failed} failed, {ignored} ignored; {} in all",
        minutes(whole.elapsed())
    );
    match report.iter().filter(|(_, _, good)| !good).count() {
        0 => Ok(()),
        bad => bail!("{bad} of {} parts failed", report.len()),
    }
}

fn fmt(_: &mut Count) -> Result<()> {
    shell::run(workspace::cargo().args(["fmt", "--all", "--check"]))
}

fn layers(_: &mut Count) -> Result<()> {
    module::ensure_target(BARE_TARGET)?;
    let mut cargo = workspace::cargo();
    cargo.args(["check", "--lib", "--target", BARE_TARGET]);
    for core in CORES {
        cargo.args(["--package", core]);
    }
    shell::run(&mut cargo)
}

fn clippy(_: &mut Count) -> Result<()> {
    let mut cargo = workspace::cargo();
    cargo.args([
        "clippy",
        "--workspace",
        "--all-targets",
        "--features",
        "tests/browsers,tests/coturn,tests/phones",
    ]);
    shell::run(cargo.args(["--", "--deny", "warnings"]))
}

/// Compiles the tests and the programs that they start, so that the other parts tell how long tests take.
fn build() -> Result<()> {
    shell::run(workspace::cargo().args(["test", "--workspace", "--no-run"]))
}

fn unit(count: &mut Count) -> Result<()> {
    tools::python()?;
    tests(
        workspace::cargo().args(["test", "--workspace", "--no-fail-fast"]),
        count,
    )
}

/// The relay, as clients of another project see it.
fn relay(count: &mut Count) -> Result<()> {
    tools::coturn()?;
    shell::run(workspace::cargo().arg("build").args(workspace::SELECTION))?;
    let mut cargo = workspace::cargo();
    cargo.args(["test", "--workspace", "--features", "tests/coturn"]);
    tests(cargo.args(["--no-fail-fast", "--test", "relay"]), count)
}

/// SIP phones of another project, and pages.
fn phones(count: &mut Count) -> Result<()> {
    tools::baresip()?;
    with_browsers("phones", count)
}

fn browser(count: &mut Count) -> Result<()> {
    with_browsers("browser", count)
}

fn with_browsers(test: &str, count: &mut Count) -> Result<()> {
    let geckodriver = tools::browsers()?;
    if !workspace::root().join("web/dist/partyline").is_dir() {
        web::build(Purpose::Serving)?;
    }
    shell::run(workspace::cargo().arg("build").args(workspace::SELECTION))?;
    let mut cargo = workspace::cargo();
    cargo.env("GECKODRIVER", geckodriver);
    cargo.args([
        "test",
        "--workspace",
        "--features",
        "tests/browsers,tests/phones",
        "--no-fail-fast",
        "--test",
        test,
    ]);
    tests(&mut cargo, count)
}

/// Runs `cargo test`, shows what it prints and adds up its results.
fn tests(command: &mut Command, count: &mut Count) -> Result<()> {
    let mut cargo = command
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {}", shell::show(command)))?;
    let output = cargo
        .stdout
        .take()
        .expect("the output was asked for as a pipe");
    for line in BufReader::new(output).lines() {
        let line = line?;
        println!("{line}");
        count.add(&line);
    }
    if !cargo.wait()?.success() {
        bail!("{} failed", shell::show(command));
    }
    Ok(())
}

impl Count {
    /// Reads `test result: ok. 3 passed; 0 failed; 1 ignored; ..`.
    fn add(&mut self, line: &str) {
        let Some((_, numbers)) = line
            .strip_prefix("test result: ")
            .and_then(|rest| rest.split_once(". "))
        else {
            return;
        };
        for part in numbers.split("; ") {
            let Some((number, what)) = part.split_once(' ') else {
                continue;
            };
            let number = number.parse().unwrap_or(0);
            match what {
                "passed" => self.passed += number,
                "failed" => self.failed += number,
                "ignored" => self.ignored += number,
                _ => {}
            }
        }
    }
}

fn minutes(time: Duration) -> String {
    format!("{}:{:02} min", time.as_secs() / 60, time.as_secs() % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn result_lines_add_up() {
        let mut count = Count::default();
        count.add("test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.0s");
        count.add("test result: FAILED. 2 passed; 4 failed; 0 ignored; 0 measured; 0 filtered out");
        count.add("running 3 tests");
        assert_eq!((count.passed, count.failed, count.ignored), (5, 4, 1));
    }
}
