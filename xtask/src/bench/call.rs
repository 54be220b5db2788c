//! `cargo xtask bench call`: how long a caller waits, beside JsSIP with Kamailio on this machine in the same run.
//!
//! Both run in one Chromium, by turns; audio only, answered automatically, loopback. `call/call.mjs` takes the times.

use super::{packages, size};
use crate::{shell, tools, web, workspace};
use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const SCRIPT: &str = include_str!("call/call.mjs");
const KAMAILIO: &str = include_str!("call/kamailio.cfg");
const MODULES: &str = "/usr/lib/x86_64-linux-gnu/kamailio/modules/";
const PATIENCE: Duration = Duration::from_secs(30);

/// What is timed: the field of a sample and its name.
const TIMES: &[(&str, &str)] = &[
    ("load", "page load to ready"),
    ("ringing", "click to ringing"),
    ("answer", "click to answer"),
    ("media", "click to first media"),
];

pub(crate) fn call(arguments: &[&str]) -> Result<()> {
    let calls: u32 = match arguments {
        [] => 9,
        ["-n", number] => number.parse().context("-n needs a number")?,
        _ => bail!("bench call has only the option -n NUMBER"),
    };
    tools::packages(&[
        (&["chromium", "google-chrome"], "chromium"),
        (&["kamailio"], "kamailio kamailio-websocket-modules"),
    ])?;
    let page = web::build()?;
    shell::step("building the node (release)");
    shell::run(workspace::cargo().args(["build", "--release", "--package", "relay-node"]))?;
    let jssip = size::jssip()?;
    let modules = packages::install(&["puppeteer-core@24"])?;

    let directory = workspace::cache()?.join(format!("bench-{}", std::process::id()));
    fs::create_dir_all(&directory)?;
    let network = partyline(&directory, &page)?;
    let (_kamailio, url) = kamailio(&directory)?;
    let pages: Vec<&str> = network.pages.iter().map(String::as_str).collect();
    let chromium = shell::find("chromium").or_else(|| shell::find("google-chrome"));
    let config = json!({
        "modules": modules, "chromium": chromium.context("Chromium is gone")?, "calls": calls,
        "pages": [pages[0], pages[1]], "jssip": jssip, "kamailio": url,
    });
    shell::step(&format!("{calls} calls of each, by turns"));
    let script = directory.join("call.mjs");
    fs::write(&script, SCRIPT)?;
    let samples = shell::read(
        Command::new("node")
            .arg(&script)
            .arg(config.to_string())
            .stderr(Stdio::inherit()),
    )?;
    let samples: Vec<Value> = samples
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()?;
    report(&samples, calls);
    fs::remove_dir_all(&directory)?;
    Ok(())
}

fn report(samples: &[Value], calls: u32) {
    println!(
        "\n{:<24}{:>12}{:>12}{:>10}",
        format!("median of {calls}, ms"),
        "Partyline",
        "JsSIP",
        "ratio"
    );
    for (field, name) in TIMES {
        let of = |who: &str| {
            let times = samples.iter().filter(|sample| sample["who"] == who);
            median(times.filter_map(|sample| sample[field].as_f64()).collect())
        };
        let (ours, theirs) = (of("partyline"), of("jssip"));
        println!(
            "{name:<24}{ours:>12.0}{theirs:>12.0}{:>10.2}",
            ours / theirs
        );
    }
    println!("\nmeasured by: cargo xtask bench call -n {calls}");
    println!(
        "Partyline: three super nodes, caller and callee at two of them; {} with Kamailio, one server",
        packages::JSSIP
    );
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        length if length % 2 == 1 => values[length / 2],
        length => f64::midpoint(values[length / 2 - 1], values[length / 2]),
    }
}

/// A server that ends with the measurement, with everything that it has started.
struct Service(Child);

impl Service {
    fn start(command: &mut Command) -> Result<Self> {
        let child = command.process_group(0).stdin(Stdio::null()).spawn();
        Ok(Self(child.with_context(|| {
            format!("cannot start {}", shell::show(command))
        })?))
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let group = format!("-{}", self.0.id());
        let _ = Command::new("kill")
            .args(["-s", "KILL", "--", &group])
            .stderr(Stdio::null())
            .status();
        let _ = self.0.wait();
    }
}

struct Partyline {
    pages: Vec<String>,
    _service: Service,
}

fn partyline(directory: &Path, page: &Path) -> Result<Partyline> {
    let mut command = Command::new(workspace::target_directory()?.join("release/relay-node"));
    command.args([
        "dev",
        "--super-nodes",
        "3",
        "--http",
        "127.0.0.1:0",
        "--domain",
        "example.org",
        "--data",
    ]);
    command
        .arg(directory.join("network"))
        .arg("--page")
        .arg(page);
    command
        .stdout(Stdio::piped())
        .stderr(File::create(directory.join("network.log"))?);
    let mut service = Service::start(&mut command)?;
    let mut output = BufReader::new(service.0.stdout.take().context("no output")?).lines();
    let ready = output
        .by_ref()
        .map_while(Result::ok)
        .find_map(|line| serde_json::from_str::<Value>(line.strip_prefix("ready ")?).ok())
        .context("the network did not start")?;
    std::thread::spawn(move || output.map_while(Result::ok).for_each(drop));
    let nodes = ready["super_nodes"].as_array().into_iter().flatten();
    let pages: Vec<String> = nodes
        .filter_map(|node| Some(node["page"].as_str()?.to_owned()))
        .collect();
    if pages.len() != 3 {
        bail!("the network has {} pages instead of 3", pages.len());
    }
    Ok(Partyline {
        pages,
        _service: service,
    })
}

fn kamailio(directory: &Path) -> Result<(Service, String)> {
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let config = directory.join("kamailio.cfg");
    fs::write(
        &config,
        KAMAILIO
            .replace("@PORT@", &port.to_string())
            .replace("@MODULES@", MODULES),
    )?;
    let log: PathBuf = directory.join("kamailio.log");
    let mut command = Command::new("kamailio");
    // -DD: stays in the foreground and forks its workers all the same.
    command
        .args(["-DD", "-E", "-m", "64", "-M", "8", "-f"])
        .arg(&config);
    command
        .arg("-Y")
        .arg(directory)
        .stdout(File::create(&log)?)
        .stderr(File::create(&log)?);
    let mut service = Service::start(&mut command)?;
    let watch = shell::Stopwatch::start();
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        if service.0.try_wait()?.is_some() || watch.elapsed() > PATIENCE {
            bail!("Kamailio did not start:\n{}", fs::read_to_string(&log)?);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok((service, format!("ws://127.0.0.1:{port}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median(Vec::new()).is_nan());
    }
}
