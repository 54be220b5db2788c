//! `cargo xtask web`: the page and the browser node, ready to be served, in `web/dist`.
//!
//! ```text
//! web/dist/                    the files of web/
//! web/dist/partyline/*.js      the browser node's JavaScript (wasm-peer/js)
//! web/dist/partyline/wasm_peer.js, wasm_peer_bg.wasm
//! web/dist/files.json          { version, files }: what the service worker keeps
//! web/dist/**/*.br             the same files packed, for browsers that take that
//! ```

use crate::{shell, workspace};
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use wasm_bindgen_cli_support::Bindgen;

/// Files and directories of the sources that serve developers only.
const UNSERVED: &[&str] = &["dist", "node_modules", "package.json", "jsconfig.json"];
const PACKED: &[&str] = &["wasm", "js", "css", "html", "svg", "json", "webmanifest"];
/// Smaller files fit into a packet or two as they are.
const WORTH_PACKING: usize = 1024;
const WASM_TARGET: &str = "wasm32-unknown-unknown";

/// Builds the page; returns the directory that holds it.
pub(crate) fn build() -> Result<PathBuf> {
    shell::step("building the browser node (wasm)");
    let module = compile(&[])?;
    let dist = workspace::root().join("web/dist");
    let fresh = workspace::root().join("web/.dist-new");
    remove(&fresh)?;
    copy(&workspace::root().join("web"), &fresh)?;
    let api = fresh.join("partyline");
    copy(&workspace::root().join("wasm-peer/js"), &api)?;
    bind(&module, &api)?;
    list(&fresh)?;
    pack(&fresh)?;
    remove(&dist)?;
    fs::rename(&fresh, &dist).context("cannot put web/dist in place")?;
    shell::step(&format!("the page is in {}", dist.display()));
    Ok(dist)
}

/// Compiles wasm-peer; returns the module as rustc left it.
pub(crate) fn compile(settings: &[&str]) -> Result<PathBuf> {
    ensure_target(WASM_TARGET)?;
    let mut cargo = workspace::cargo();
    cargo.args([
        "build",
        "--package",
        "wasm-peer",
        "--lib",
        "--profile",
        "wasm",
        "--target",
        WASM_TARGET,
    ]);
    for setting in settings {
        cargo.args(["--config", setting]);
    }
    shell::run(&mut cargo)?;
    let module = workspace::target_directory()?
        .join(WASM_TARGET)
        .join("wasm/wasm_peer.wasm");
    if !module.is_file() {
        bail!("cargo built no {}", module.display());
    }
    Ok(module)
}

/// Writes the JavaScript glue and the bound module into `directory`.
///
/// Binaryen's wasm-opt is left out: what it takes off the module it adds to the compressed one (157 KB of brotli became
/// 169 KB), and version 108, Debian's, exports the wrong table.
pub(crate) fn bind(module: &Path, directory: &Path) -> Result<()> {
    Bindgen::new()
        .input_path(module)
        .web(true)?
        .typescript(false)
        .remove_name_section(true)
        .remove_producers_section(true)
        .omit_default_module_path(true)
        .out_name("wasm_peer")
        .generate(directory)
        .context("wasm-bindgen")?;
    let glue = directory.join("wasm_peer.js");
    let script = fs::read_to_string(&glue)?;
    fs::write(&glue, undocumented(&script)).context("cannot write the glue")
}

/// Takes the blocks of documentation out of a generated script: a seventh of what a browser would download of it.
fn undocumented(script: &str) -> String {
    let mut kept = String::with_capacity(script.len());
    let mut inside = false;
    for line in script.lines() {
        let text = line.trim();
        inside |= text.starts_with("/**");
        if !inside {
            kept.push_str(line);
            kept.push('\n');
        }
        inside &= !text.ends_with("*/");
    }
    kept
}

/// Adds a compilation target to the toolchain in use when it is missing.
pub(crate) fn ensure_target(target: &str) -> Result<()> {
    let sysroot = shell::read(
        Command::new("rustc")
            .args(["--print", "sysroot"])
            .current_dir(workspace::root()),
    )?;
    if Path::new(sysroot.trim())
        .join("lib/rustlib")
        .join(target)
        .is_dir()
    {
        return Ok(());
    }
    shell::step(&format!("adding the target {target}"));
    shell::run(
        Command::new("rustup")
            .args(["target", "add", target])
            .current_dir(workspace::root()),
    )
    .with_context(|| format!("the toolchain lacks {target}; without rustup, install it by hand"))
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

#[cfg(test)]
mod tests {
    use super::undocumented;

    #[test]
    fn a_script_loses_its_documentation_only() {
        let script = "let a = 1; /* kept */\n  /**\n   * About b.\n   */\n  let b = 2;\n/** About c. */\nlet c;\n";
        assert_eq!(
            undocumented(script),
            "let a = 1; /* kept */\n  let b = 2;\nlet c;\n"
        );
    }
}
