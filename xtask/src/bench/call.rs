//! `cargo xtask bench call`: how long a caller waits, beside JsSIP with Kamailio on this machine in the same run.
//!
//! All run in one Chromium, by turns; audio only, answered automatically, loopback. `call/call.mjs` takes the times,
//! `call/trace.mjs` tells where they go.

use super::{packages, size};
use crate::web::module::Purpose;
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

const SCRIPTS: [(&str, &str); 3] = [
    ("call.mjs", include_str!("call/call.mjs")),
    ("phones.mjs", include_str!("call/phones.mjs")),
    ("trace.mjs", include_str!("call/trace.mjs")),
];
/// What a super node serves besides the page.
const BARE: [(&str, &str); 2] = [
    ("bench.html", include_str!("call/api.html")),
    ("bench.js", include_str!("call/api.js")),
];
const KAMAILIO: &str = include_str!("call/kamailio.cfg");
const MODULES: &str = "/usr/lib/x86_64-linux-gnu/kamailio/modules/";
const CALLS: u32 = 15;
const PATIENCE: Duration = Duration::from_secs(30);

/// What is timed: the field of a sample and its name.
const TIMES: &[(&str, &str)] = &[
    ("load", "page load to ready"),
    ("ringing", "click to ringing"),
    ("answer", "click to answer"),
    ("media", "click to first media"),
];

pub(crate) fn call(arguments: &[&str]) -> Result<()> {
    let (mut calls, mut trace) = (CALLS, false);
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        match (*word, words.clone().next()) {
            ("--trace", _) => trace = true,
            ("-n", Some(number)) => {
                calls = number.parse().context("-n needs a number")?;
                words.next();
            }
            _ => bail!("bench call has the options -n NUMBER and --trace"),
        }
    }
    tools::packages(&[
        (&["chromium", "google-chrome"], "chromium"),
        (&["kamailio"], "kamailio kamailio-websocket-modules"),
    ])?;
    let page = web::build(Purpose::Serving)?;
    shell::step("building the node (release)");
    shell::run(workspace::cargo().args(["build", "--release", "--package", "relay-node"]))?;
    let jssip = size::jssip()?;
    let modules = packages::install(&["puppeteer-core@24"])?;

    let directory = workspace::cache()?.join(format!("bench-{}", std::process::id()));
    fs::create_dir_all(&directory)?;
    let served = directory.join("page");
    shell::run(Command::new("cp").arg("-R").arg(&page).arg(&served))?;
    for (name, file) in BARE {
        fs::write(served.join(name), file)?;
    }
    let network = partyline(&directory, &served)?;
    let (_kamailio, url) = kamailio(&directory)?;
    let pages: Vec<&str> = network.pages.iter().map(String::as_str).collect();
    let chromium = shell::find("chromium").or_else(|| shell::find("google-chrome"));
    let config = json!({
        "modules": modules, "chromium": chromium.context("Chromium is gone")?, "calls": calls,
        "pages": [pages[0], pages[1]], "jssip": jssip, "kamailio": url, "trace": trace,
    });
    shell::step(&format!("{calls} calls of each, by turns"));
    for (name, script) in SCRIPTS {
        fs::write(directory.join(name), script)?;
    }
    let samples = shell::read(
        Command::new("node")
            .arg(directory.join(SCRIPTS[0].0))
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
        "\n{:<22}{:>14}{:>14}{:>14}{:>14}{:>13}",
        format!("{calls} times, ms"),
        "Partyline",
        "its API alone",
        "JsSIP",
        "page / JsSIP",
        "API / JsSIP"
    );
    for (field, name) in TIMES {
        let [page, api, jssip] = ["page", "api", "jssip"].map(|who| {
            let times = samples.iter().filter(|sample| sample["who"] == who);
            Times::new(times.filter_map(|sample| sample[field].as_f64()).collect())
        });
        let ratios = [&page, &api].map(|ours| ours.median() / jssip.median());
        println!(
            "{name:<22}{:>14}{:>14}{:>14}{:>14.2}{:>13.2}",
            page.show(),
            api.show(),
            jssip.show(),
            ratios[0],
            ratios[1]
        );
    }
    println!("\nMedian (nine in ten). Measured by: cargo xtask bench call -n {calls}");
    println!(
        "Partyline: the page as it is, three super nodes, caller and callee at two of them. The name stands in the field\n\
         for half a second before the click, in which the page makes ready: peer connection, microphone, look-up.\n\
         Its API alone: phone.js on an empty page, warm() half a second before the call.\n\
         JsSIP: {} on an empty page, one Kamailio; it has no such step.",
        packages::JSSIP
    );
}

/// Measured times, in order.
struct Times(Vec<f64>);

impl Times {
    fn new(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        Self(values)
    }

    fn median(&self) -> f64 {
        match self.0.len() {
            0 => f64::NAN,
            length if length % 2 == 1 => self.0[length / 2],
            length => f64::midpoint(self.0[length / 2 - 1], self.0[length / 2]),
        }
    }

    fn show(&self) -> String {
        format!("{:.0} ({:.0})", self.median(), self.p90())
    }

    /// What nine in ten stay within.
    fn p90(&self) -> f64 {
        let place = (self.0.len() * 9).div_ceil(10).max(1) - 1;
        self.0.get(place).copied().unwrap_or(f64::NAN)
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
        assert_eq!(Times::new(vec![3.0, 1.0, 2.0]).median(), 2.0);
        assert_eq!(Times::new(vec![4.0, 1.0, 2.0, 3.0]).median(), 2.5);
        assert!(Times::new(Vec::new()).median().is_nan());
    }

    #[test]
    fn nine_in_ten_stay_within_p90() {
        let ten = (1..=10).rev().map(f64::from).collect();
        assert_eq!(Times::new(ten).p90(), 9.0);
        assert_eq!(Times::new(vec![7.0]).p90(), 7.0);
        assert!(Times::new(Vec::new()).p90().is_nan());
    }
}
