//! `cargo xtask web`: the page and the browser node, ready to be served, in `web/dist`.
//!
//! ```text
//! web/dist/                    the files of web/
//! web/dist/partyline/*.js      the browser node's JavaScript (wasm-peer/js)
//! web/dist/partyline/wasm_peer.js, wasm_peer_bg.wasm
//! web/dist/files.json          { version, files }: what the service worker keeps
//! web/dist/**/*.br             the same files packed, for browsers that take that
//! ```

pub(crate) mod module;
mod packing;

use crate::{shell, workspace};
use anyhow::{Context, Result};
use module::Purpose;
use std::fs;
use std::path::{Path, PathBuf};

/// Files and directories of the sources that serve developers only.
const UNSERVED: &[&str] = &["dist", "node_modules", "package.json", "jsconfig.json"];
const PACKED: &[&str] = &["wasm", "js", "css", "html", "svg", "json", "webmanifest"];
/// Smaller files fit into a packet or two as they are.
const WORTH_PACKING: usize = 1024;

/// Builds the page; returns the directory that holds it.
pub(crate) fn build(purpose: Purpose) -> Result<PathBuf> {
    shell::step("building the browser node (wasm)");
    let module = module::compile(purpose)?;
    let dist = workspace::root().join("web/dist");
    let fresh = workspace::root().join("web/.dist-new");
    remove(&fresh)?;
    copy(&workspace::root().join("web"), &fresh)?;
    let api = fresh.join("partyline");
    copy(&workspace::root().join("wasm-peer/js"), &api)?;
    module::bind(&module, &api, purpose)?;
    list(&fresh)?;
    pack(&fresh)?;
    remove(&dist)?;
    fs::rename(&fresh, &dist).context("cannot put web/dist in place")?;
    shell::step(&format!("the page is in {}", dist.display()));
    Ok(dist)
}

/// Copies what is to be served: no hidden files, no notes, no earlier result.
fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).with_context(|| format!("cannot create {}", to.display()))?;
    for entry in fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let kind = entry.file_type()?;
        let unserved = [".md", ".d.ts"].iter().any(|end| name.ends_with(end));
        if unserved || name.starts_with('.') || UNSERVED.contains(&name.as_str()) {
            continue;
        }
        if kind.is_dir() {
            copy(&entry.path(), &to.join(name))?;
        } else {
            fs::copy(entry.path(), to.join(name))?;
        }
    }
    Ok(())
}

/// Lists what belongs to this version of the page, for the service worker, which is not in its own list.
fn list(directory: &Path) -> Result<()> {
    let mut paths = Vec::new();
    walk(directory, &mut paths)?;
    paths.sort();
    let mut files = Vec::new();
    let mut version = FNV_BASIS;
    for path in paths {
        version = fnv(version, &fs::read(&path)?);
        let name = path
            .strip_prefix(directory)
            .context("a file outside")?
            .to_string_lossy();
        version = fnv(version, name.as_bytes());
        match &*name {
            "sw.js" => {}
            "index.html" => files.push("/".to_owned()),
            name => files.push(format!("/{name}")),
        }
    }
    let list = serde_json::json!({ "version": format!("{version:016x}"), "files": files });
    let text = serde_json::to_string_pretty(&list)?;
    fs::write(directory.join("files.json"), text + "\n").context("cannot write files.json")
}

/// Packs what packs well, so that a super node need not.
fn pack(directory: &Path) -> Result<()> {
    let mut paths = Vec::new();
    walk(directory, &mut paths)?;
    for path in paths {
        let plain = fs::read(&path)?;
        let kind = path.extension().and_then(|kind| kind.to_str());
        if plain.len() < WORTH_PACKING || !kind.is_some_and(|kind| PACKED.contains(&kind)) {
            continue;
        }
        let mut packed = Vec::new();
        let best = brotli::enc::BrotliEncoderParams::default();
        brotli::BrotliCompress(&mut plain.as_slice(), &mut packed, &best)
            .with_context(|| format!("cannot pack {}", path.display()))?;
        let mut name = path.into_os_string();
        name.push(".br");
        fs::write(name, packed)?;
    }
    Ok(())
}

fn walk(directory: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            walk(&path, found)?;
        } else {
            found.push(path);
        }
    }
    Ok(())
}

const FNV_BASIS: u64 = 0xcbf2_9ce4_8422_2325;

/// FNV-1a: tells versions apart, protects nothing.
fn fnv(basis: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(basis, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

fn remove(directory: &Path) -> Result<()> {
    if directory.exists() {
        fs::remove_dir_all(directory)
            .with_context(|| format!("cannot remove {}", directory.display()))?;
    }
    Ok(())
}
