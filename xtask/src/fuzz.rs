//! The fuzz targets under libFuzzer, on the stable compiler.

use crate::{shell, tools, workspace};
use anyhow::{Context, Result, bail};
use std::fs;
use std::process::Command;

/// What tells libFuzzer which paths a run took (LLVM's SanitizerCoverage).
const COVERAGE: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1 -Cdebug-assertions";

/// The longest input: a little more than the longest frame would only slow things down.
const LONGEST: usize = 8_192;

pub(crate) fn run(arguments: &[&str]) -> Result<()> {
    let (mut seconds, mut names) = (60_u32, Vec::new());
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        match *word {
            "--seconds" => {
                let number = words.next().context("--seconds needs a number")?;
                seconds = number
                    .parse()
                    .with_context(|| format!("'{number}' is no number of seconds"))?;
            }
            name => names.push(name.to_owned()),
        }
    }
    let known = targets()?;
    if let Some(stranger) = names.iter().find(|name| !known.contains(name)) {
        bail!(
            "there is no target '{stranger}'; the targets are: {}",
            known.join(" ")
        );
    }
    tools::packages(&[(&["c++", "g++", "clang++"], "g++")])?;
    let home = workspace::target_directory()?.join("fuzz");
    shell::step("building the fuzz targets");
    let mut cargo = workspace::cargo();
    cargo.args(["build", "--release", "-p", "fuzz", "--features", "engine"]);
    cargo.args(["--target", "x86_64-unknown-linux-gnu", "--target-dir"]);
    cargo.arg(&home).env("RUSTFLAGS", COVERAGE);
    shell::run(&mut cargo)?;
    let program = home.join("x86_64-unknown-linux-gnu/release/fuzz");
    for name in if names.is_empty() { known } else { names } {
        let (corpus, finds) = (
            home.join("corpus").join(&name),
            home.join("finds").join(&name),
        );
        for directory in [&corpus, &finds] {
            fs::create_dir_all(directory)
                .with_context(|| format!("cannot create {}", directory.display()))?;
        }
        let target = |command: &mut Command| {
            command.env("FUZZ_TARGET", &name);
        };
        let mut seeds = Command::new(&program);
        target(&mut seeds);
        shell::run(seeds.env("FUZZ_SEEDS", &corpus))?;
        shell::step(&format!("{name}, {seconds} s"));
        let mut fuzz = Command::new(&program);
        target(&mut fuzz);
        fuzz.arg(&corpus)
            .arg(format!("-max_total_time={seconds}"))
            .arg(format!("-max_len={LONGEST}"))
            .arg(format!("-artifact_prefix={}/", finds.display()))
            .args(["-print_final_stats=1", "-verbosity=0", "-timeout=5"]);
        shell::run(&mut fuzz).with_context(|| {
            format!(
                "{name} found something: the bytes are in {}",
                finds.display()
            )
        })?;
    }
    Ok(())
}

/// The names of the targets, as `fuzz/src/lib.rs` lists them.
fn targets() -> Result<Vec<String>> {
    let path = workspace::root().join("fuzz/src/lib.rs");
    let source = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let list = source
        .split_once("TARGETS: &[Target] = &[")
        .context("no list of targets")?
        .1;
    let calls = list.split("target(").skip(1);
    let names = calls.filter_map(|call| call.split('"').nth(1));
    Ok(names.map(str::to_owned).collect())
}
