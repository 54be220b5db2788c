//! Packages of npm that measurements compare with, fetched once into the cache.

use crate::{shell, tools, workspace};
use anyhow::{Context, Result};
use std::path::PathBuf;
use std::process::Command;

/// The release of JsSIP that everything is compared with.
pub(super) const JSSIP: &str = "jssip@3.13";

/// Installs packages (`name@version`) into a directory of their own and returns its `node_modules`.
pub(super) fn install(packages: &[&str]) -> Result<PathBuf> {
    tools::packages(&[(&["node"], "nodejs"), (&["npm"], "npm")])?;
    let name = packages.join("_").replace(['/', '@'], "-");
    let directory = workspace::cache()?.join("npm").join(name);
    let modules = directory.join("node_modules");
    if !modules.join(".package-lock.json").is_file() {
        shell::step(&format!("fetching {} by npm", packages.join(" ")));
        std::fs::create_dir_all(&directory)?;
        std::fs::write(directory.join("package.json"), "{ \"private\": true }\n")?;
        let mut npm = Command::new("npm");
        npm.args(["install", "--ignore-scripts", "--no-audit", "--no-fund"])
            .args(packages);
        shell::run(npm.current_dir(&directory)).context("npm install")?;
    }
    Ok(modules)
}
