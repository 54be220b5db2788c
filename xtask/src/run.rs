//! `cargo xtask run`: a whole network on this machine, ready to be tried.
//!
//! Everything is built in the dev profile: its dependencies are optimised all the same, it compiles in a fraction
//! of a release build's time, and `cargo xtask test` uses the very same artefacts, because both select the same.

use crate::web::module::Purpose;
use crate::{shell, web, workspace};
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How long the network may take to end by itself before it is killed.
const PATIENCE: Duration = Duration::from_secs(5);

pub(crate) fn run(arguments: &[&str]) -> Result<()> {
    let mut super_nodes = "3";
    let mut http = "127.0.0.1:8080";
    let mut domain = "example.org";
    let mut rest = arguments.iter();
    while let Some(name) = rest.next() {
        let value = rest
            .next()
            .with_context(|| format!("{name} needs a value"))?;
        match *name {
            "--super-nodes" => super_nodes = value,
            "--http" => http = value,
            "--domain" => domain = value,
            other => {
                bail!("run has no option {other}; there are --super-nodes, --http and --domain")
            }
        }
    }
    let page = web::build(Purpose::Serving)?;
    shell::step("building the node (the first time this takes some minutes)");
    shell::run(workspace::cargo().arg("build").args(workspace::SELECTION))?;
    shell::step(&format!(
        "starting {super_nodes} super nodes, a login server and a bootstrap server"
    ));
    let mut command = Command::new(workspace::target_directory()?.join("debug/relay-node"));
    command
        .args([
            "dev",
            "--super-nodes",
            super_nodes,
            "--http",
            http,
            "--domain",
            domain,
            "--page",
        ])
        .arg(page);
    attend(command)
}

/// Runs the network until it ends or the user has had enough.
fn attend(mut command: Command) -> Result<()> {
    let enough = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&enough);
    ctrlc::set_handler(move || flag.store(true, Ordering::Relaxed))
        .context("cannot catch Ctrl-C")?;
    let mut network = command
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start relay-node")?;
    let output = network
        .stdout
        .take()
        .expect("the output was asked for as a pipe");
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            match line.strip_prefix("ready ") {
                Some(ready) => welcome(ready),
                None => println!("{line}"),
            }
        }
    });
    loop {
        if let Some(status) = network.try_wait()? {
            if enough.load(Ordering::Relaxed) || status.success() {
                return Ok(());
            }
            bail!("the network ended by itself ({status})");
        }
        if enough.load(Ordering::Relaxed) {
            return end(&mut network);
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Ends the network in an orderly way, or at all.
fn end(network: &mut Child) -> Result<()> {
    eprintln!("\nending the network");
    let watch = shell::Stopwatch::start();
    // A terminal has sent Ctrl-C to the network too; whoever signalled only this process has not.
    let mut interrupt = Command::new("kill");
    interrupt
        .args(["-s", "INT", &network.id().to_string()])
        .stderr(Stdio::null());
    let _ = interrupt.status();
    while watch.elapsed() < PATIENCE {
        if network.try_wait()?.is_some() {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    network.kill()?;
    network.wait()?;
    Ok(())
}

/// Tells the user what to do at the addresses that relay-node has just printed.
fn welcome(ready: &str) {
    let ready: Value = serde_json::from_str(ready).unwrap_or_default();
    let domain = ready["domain"].as_str().unwrap_or("the domain");
    println!(
        "\nWhat next: open the first two addresses in two windows (two browsers, or one of them\n\
         private, so that each has its own keys), create an account at {domain} or be a guest\n\
         in each, and call the one by name from the other.\n"
    );
}
