//! `cargo xtask bench size`: what a browser downloads before it can call, beside JsSIP's bundle.

use super::{packages, wasm};
use crate::web::module::{self, Purpose};
use crate::{shell, web, workspace};
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Prints `length gzip brotli` of each file, at the highest level of both as a web server would precompress them.
const MEASURE: &str = "const zlib = require('zlib'), fs = require('fs');
for (const file of process.argv.slice(1)) {
  const bytes = fs.readFileSync(file);
  console.log(bytes.length, zlib.gzipSync(bytes, { level: 9 }).length, zlib.brotliCompressSync(bytes).length);
}";

pub(crate) fn size() -> Result<()> {
    let api = web::build(Purpose::Serving)?.join("partyline");
    let wasm = api.join("wasm_peer_bg.wasm");
    let glue = api.join("wasm_peer.js");
    let mut scripts: Vec<PathBuf> = std::fs::read_dir(&api)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|end| end == "js") && *path != glue)
        .collect();
    scripts.sort();
    let theirs = measure(&[jssip()?])?;
    let ours = measure(&[wasm, glue])?;
    let scripts = measure(&scripts)?;

    println!(
        "\n{:<34}{:>10}{:>10}{:>10}",
        "bytes", "plain", "gzip", "brotli"
    );
    row("browser node, wasm", ours[0]);
    row("browser node, glue", ours[1]);
    let node = sum(&ours);
    row("browser node", node);
    row("JavaScript API (not minified)", sum(&scripts));
    row(
        &format!("{} (bundled, minified)", packages::JSSIP),
        theirs[0],
    );
    println!(
        "node / JsSIP: gzip {:.2}, brotli {:.2}",
        ratio(node[1], theirs[0][1]),
        ratio(node[2], theirs[0][2])
    );
    crates()?;
    println!("\nmeasured by: cargo xtask bench size");
    Ok(())
}

/// What each crate costs in the module as rustc leaves it, before wasm-bindgen and compression.
fn crates() -> Result<()> {
    let module = module::compile(Purpose::Serving)?;
    let cost = wasm::cost(&std::fs::read(&module)?)?;
    let mut crates: Vec<_> = cost.crates.into_iter().collect();
    crates.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
    println!("\n{:<34}{:>10}", "crate (before wasm-bindgen)", "bytes");
    for (name, bytes) in crates {
        println!("{name:<34}{bytes:>10}");
    }
    println!("{:<34}{:>10}", "static data", cost.data);
    Ok(())
}

/// Bundles JsSIP as its users do; its package holds no bundle of its own.
pub(super) fn jssip() -> Result<PathBuf> {
    let modules = packages::install(&[packages::JSSIP, "esbuild@0.27"])?;
    let bundle = modules.with_file_name("jssip.min.js");
    let entry = modules.with_file_name("entry.js");
    std::fs::write(
        &entry,
        "import * as JsSIP from 'jssip';\nglobalThis.JsSIP = JsSIP;\n",
    )?;
    let mut esbuild = Command::new(modules.join(".bin/esbuild"));
    esbuild.args([
        "--bundle",
        "--minify",
        "--platform=browser",
        "--log-level=warning",
    ]);
    shell::run(
        esbuild
            .arg(format!("--outfile={}", bundle.display()))
            .arg(&entry),
    )?;
    Ok(bundle)
}

fn measure(files: &[impl AsRef<Path>]) -> Result<Vec<[u64; 3]>> {
    let mut node = Command::new("node");
    node.args(["-e", MEASURE, "--"])
        .args(files.iter().map(AsRef::as_ref));
    shell::read(node.current_dir(workspace::root()))?
        .lines()
        .map(|line| {
            let numbers: Vec<u64> = line
                .split(' ')
                .filter_map(|number| number.parse().ok())
                .collect();
            numbers
                .try_into()
                .ok()
                .context("node printed something else than three sizes")
        })
        .collect()
}

fn sum(sizes: &[[u64; 3]]) -> [u64; 3] {
    sizes.iter().fold([0; 3], |all, one| {
        [all[0] + one[0], all[1] + one[1], all[2] + one[2]]
    })
}

fn row(name: &str, [plain, gzip, brotli]: [u64; 3]) {
    println!("{name:<34}{plain:>10}{gzip:>10}{brotli:>10}");
}

fn ratio(ours: u64, theirs: u64) -> f64 {
    ours as f64 / theirs.max(1) as f64
}
