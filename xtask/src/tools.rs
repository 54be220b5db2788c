//! The programs that the checks need besides cargo: found, or installed where that is allowed.

use crate::{shell, workspace};
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Programs of Debian, each with the package that holds it; the first name that is found serves.
const PACKAGES: &[(&[&str], &str)] = &[
    (&["chromium", "google-chrome"], "chromium"),
    (&["chromedriver"], "chromium-driver"),
    (&["firefox-esr", "firefox"], "firefox-esr"),
    (&["nft"], "nftables"),
];

/// Makes sure that the browsers and their drivers are there; returns the path of geckodriver.
pub(crate) fn browsers() -> Result<PathBuf> {
    packages(PACKAGES)?;
    geckodriver()
}

/// Makes sure that the second encoder of `docs/protocol.md` can run.
pub(crate) fn python() -> Result<()> {
    packages(&[(&["python3"], "python3")])
}

/// Makes sure that baresip, a SIP phone, is there.
pub(crate) fn baresip() -> Result<()> {
    packages(&[(&["baresip"], "baresip")])
}

/// Makes sure that coturn's clients are there.
pub(crate) fn coturn() -> Result<()> {
    packages(&[(&["turnutils_uclient"], "coturn")])
}

/// Installs the packages whose programs are missing, or says which command would.
pub(crate) fn packages(wanted: &[(&[&str], &str)]) -> Result<()> {
    let missing: Vec<&str> = wanted
        .iter()
        .filter(|(programs, _)| {
            programs
                .iter()
                .all(|program| shell::find(program).is_none())
        })
        .flat_map(|(_, packages)| packages.split(' '))
        .collect();
    install(&missing)
}

/// Installs the packages whose C or C++ headers are missing, or says which command would.
pub(crate) fn headers(wanted: &[(&str, &str)]) -> Result<()> {
    let missing: Vec<&str> = wanted
        .iter()
        .filter(|(header, _)| !Path::new("/usr/include").join(header).is_file())
        .map(|(_, package)| *package)
        .collect();
    install(&missing)
}

fn install(missing: &[&str]) -> Result<()> {
    if missing.is_empty() {
        return Ok(());
    }
    let list = missing.join(" ");
    let root = shell::read(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0");
    if !root || shell::find("apt-get").is_none() {
        bail!(
            "these programs are missing; install them and try again:\n  sudo apt-get install -y {list}"
        );
    }
    shell::step(&format!("installing {list}"));
    let install = || {
        let mut apt = Command::new("apt-get");
        apt.env("DEBIAN_FRONTEND", "noninteractive");
        apt.args(["install", "-y", "--no-install-recommends"])
            .args(missing);
        shell::run(&mut apt)
    };
    // A machine that never asked for the package lists has none.
    install().or_else(|_| {
        shell::run(Command::new("apt-get").arg("update"))?;
        install()
    })
}

/// Debian has no geckodriver: cargo builds it once for all clones.
fn geckodriver() -> Result<PathBuf> {
    let tools = workspace::cache()?.join("tools");
    let built = tools.join("bin/geckodriver");
    if let Some(found) =
        shell::find("geckodriver").or_else(|| built.is_file().then(|| built.clone()))
    {
        return Ok(found);
    }
    shell::step("building geckodriver (once, about two minutes)");
    let mut cargo = Command::new("cargo");
    cargo
        .args(["install", "--locked", "geckodriver", "--root"])
        .arg(&tools);
    shell::run(&mut cargo).with_context(|| {
        format!(
            "try it by hand: cargo install --locked geckodriver --root {}",
            tools.display()
        )
    })?;
    Ok(built)
}
