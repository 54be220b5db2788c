//! The browser node as a WebAssembly module with its JavaScript.

use super::packing;
use crate::{shell, workspace};
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use wasm_bindgen_cli_support::{Bindgen, EncodeInto};

/// What a module is built for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// As small as it gets; a defect stops it without a word.
    Serving,
    /// A defect says where it is, and functions keep their names.
    Debugging,
}

const TARGET: &str = "wasm32-unknown-unknown";

/// Builds the standard library anew: the one that comes with the toolchain formats a message for every panic and
/// prefers speed. The switches are unstable, but the toolchain is pinned.
const SMALL_STD: &[&str] = &[
    "-Zbuild-std=std,panic_abort",
    "-Zbuild-std-features=optimize_for_size",
    "--config",
    "target.wasm32-unknown-unknown.rustflags = ['-Zunstable-options', '-Cpanic=immediate-abort', \
     '-Zlocation-detail=none', '-Zfmt-debug=none']",
];

/// Compiles wasm-peer; returns the module as rustc left it, with the names of its functions.
pub(crate) fn compile(purpose: Purpose) -> Result<PathBuf> {
    ensure_target(TARGET)?;
    let mut cargo = workspace::cargo();
    cargo.args(["build", "--package", "wasm-peer", "--lib"]);
    cargo.args(["--profile", "wasm", "--target", TARGET]);
    match purpose {
        Purpose::Serving if has_source()? => {
            cargo.env("RUSTC_BOOTSTRAP", "1").args(SMALL_STD);
        }
        Purpose::Serving => {}
        Purpose::Debugging => {
            cargo.args(["--config", "profile.wasm.debug-assertions = true"]);
        }
    }
    shell::run(&mut cargo)?;
    let module = workspace::target_directory()?
        .join(TARGET)
        .join("wasm/wasm_peer.wasm");
    if !module.is_file() {
        bail!("cargo built no {}", module.display());
    }
    Ok(module)
}

/// Writes the JavaScript glue and the bound module into `directory`.
///
/// The glue is that for bundlers, which don't want to load the module: `wasm-peer/js/wasm.js` does that in ten lines
/// where wasm-bindgen's loader takes a hundred.
///
/// Binaryen's wasm-opt is left out: what it takes off the module does not show in the compressed one (version 132 makes
/// 98.3 KB of brotli out of 97.6), and version 108, Debian's, exports the wrong table.
pub(crate) fn bind(module: &Path, directory: &Path, purpose: Purpose) -> Result<()> {
    let mut bound = Bindgen::new()
        .input_path(module)
        .bundler(true)?
        .typescript(false)
        .remove_name_section(purpose == Purpose::Serving)
        .remove_producers_section(true)
        .encode_into(EncodeInto::Always)
        .out_name("wasm_peer")
        .generate_output()
        .context("wasm-bindgen")?;
    let glue = bound.start().context("wasm-bindgen made no glue")?;
    let mut glue = undocumented(glue);
    let mut module = bound.wasm_mut().emit_wasm();
    if purpose == Purpose::Serving {
        (module, glue) = packing::pack(&module, &glue)?;
    }
    fs::write(directory.join("wasm_peer_bg.wasm"), module).context("cannot write the module")?;
    fs::write(directory.join("wasm_peer.js"), glue).context("cannot write the glue")
}

/// Takes documentation and indentation out of a generated script: a fifth of what a browser would download of it.
fn undocumented(script: &str) -> String {
    let mut kept = String::with_capacity(script.len());
    let mut inside = false;
    for line in script.lines() {
        let text = line.trim();
        inside |= text.starts_with("/**");
        if !inside && !text.is_empty() {
            kept.push_str(text);
            kept.push('\n');
        }
        inside &= !text.ends_with("*/");
    }
    kept
}

/// Adds a compilation target to the toolchain in use when it is missing.
pub(crate) fn ensure_target(target: &str) -> Result<()> {
    if rustlib()?.join(target).is_dir() {
        return Ok(());
    }
    shell::step(&format!("adding the target {target}"));
    rustup(&["target", "add", target]).with_context(|| {
        format!("the toolchain lacks {target}; without rustup, install it by hand")
    })
}

/// Whether the source of the standard library is there, which rustup adds when it is missing.
fn has_source() -> Result<bool> {
    if rustlib()?.join("src/rust/library/Cargo.lock").is_file() {
        return Ok(true);
    }
    shell::step("adding the source of the standard library");
    let added = rustup(&["component", "add", "rust-src"]);
    if let Err(error) = &added {
        shell::step(&format!(
            "{error:#}; the module takes the standard library as it comes, and a tenth more to download"
        ));
    }
    Ok(added.is_ok())
}

fn rustup(arguments: &[&str]) -> Result<()> {
    shell::run(
        Command::new("rustup")
            .args(arguments)
            .current_dir(workspace::root()),
    )
}

/// The directory of the toolchain in use that holds targets and sources.
fn rustlib() -> Result<PathBuf> {
    let sysroot = shell::read(
        Command::new("rustc")
            .args(["--print", "sysroot"])
            .current_dir(workspace::root()),
    )?;
    Ok(Path::new(sysroot.trim()).join("lib/rustlib"))
}

#[cfg(test)]
mod tests {
    use super::undocumented;

    #[test]
    fn a_script_loses_its_documentation_only() {
        let script = "let a = 1; /* kept */\n  /**\n   * About b.\n   */\n  let b = 2;\n/** About c. */\nlet c;\n";
        assert_eq!(
            undocumented(script),
            "let a = 1; /* kept */\nlet b = 2;\nlet c;\n"
        );
    }
}
