//! `cargo xtask bench sip`: registrations and calls by SIPp at our SIP server and at Kamailio, in turns, at the same offered rates.
//!
//! Printed are the processor time of the server for one registration and one call (INVITE, 180, 200, ACK, BYE, 200 through a
//! stateful proxy that stays in the path), what SIPp had to send again or lost, and the time to the answer.

use crate::{shell, tools, workspace};
use anyhow::{Context, Result, bail};
use std::fmt::Write as _;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const REGISTER: &str = include_str!("sip/register.xml");
const CALLER: &str = include_str!("sip/caller.xml");
const CALLEE: &str = include_str!("sip/callee.xml");
const KAMAILIO: &str = include_str!("sip/kamailio.cfg");

/// Users; each registers once, and then again so often.
const USERS: usize = 1_000;
const REFRESHES: usize = 20;
/// Where things listen.
const SERVER: u16 = 25_060;
const CALLEE_PORT: u16 = 25_070;
const CALLER_PORT: u16 = 25_080;
/// Ticks a second of the times in `/proc`.
const TICKS: u64 = 100;

/// What one run at one server gave.
struct Row {
    /// Microseconds of processor for each.
    cost: f64,
    again: u64,
    failed: u64,
    /// Milliseconds to the answer.
    median: f64,
    worst: f64,
}

pub(crate) fn sip(arguments: &[&str]) -> Result<()> {
    let (mut rounds, mut rate, mut calls) = (3, 250, 5_000);
    for pair in arguments.chunks(2) {
        let [name, value] = pair else {
            bail!("{} needs a value", pair[0])
        };
        match *name {
            "--rounds" => rounds = value.parse()?,
            "--rate" => rate = value.parse()?,
            "--calls" => calls = value.parse()?,
            other => bail!(
                "{other} is not known; there are --rounds, --rate (calls a second) and --calls"
            ),
        }
    }
    tools::packages(&[(&["sipp"], "sip-tester"), (&["kamailio"], "kamailio")])?;
    shell::step("building the node");
    shell::run(workspace::cargo().args(["build", "--release", "-p", "relay-node"]))?;
    let directory = workspace::target_directory()?.join("bench-sip");
    std::fs::create_dir_all(&directory)?;
    for (name, text) in [
        ("register.xml", REGISTER),
        ("caller.xml", CALLER),
        ("callee.xml", CALLEE),
    ] {
        std::fs::write(directory.join(name), text)?;
    }
    users(&directory)?;
    let mut costs = [[0.0; 3]; 2];
    println!(
        "{:<10} {:<22} {:>9} {:>7} {:>7} {:>9} {:>9}",
        "server", "what", "us CPU", "again", "failed", "p50 ms", "p99 ms"
    );
    for _ in 0..rounds {
        for (server, name) in ["ours", "kamailio"].into_iter().enumerate() {
            let running = Server::start(name, &directory)?;
            let rows = measure(&running, &directory, rate, calls)?;
            for ((what, row), sum) in WHAT.iter().zip(rows).zip(&mut costs[server]) {
                *sum += row.cost / f64::from(rounds);
                println!(
                    "{name:<10} {what:<22} {:>9.1} {:>7} {:>7} {:>9.2} {:>9.2}",
                    row.cost, row.again, row.failed, row.median, row.worst
                );
            }
        }
    }
    let [ours, theirs] = costs;
    for (place, what) in WHAT.iter().enumerate() {
        println!(
            "ours / kamailio, {what}: {:.2}",
            ours[place] / theirs[place]
        );
    }
    println!("\nmeasured by: cargo xtask bench sip");
    Ok(())
}

const WHAT: [&str; 3] = ["first registration", "refresh", "call"];

/// The users that register, in the order in which they do, with the CSeq.
fn users(directory: &Path) -> Result<()> {
    let mut all = String::from("SEQUENTIAL\n");
    for round in 1..=REFRESHES + 1 {
        for user in 0..USERS {
            let _ = writeln!(all, "{user};{round}");
        }
    }
    let mut rest = String::from("SEQUENTIAL\n");
    rest.extend(all.split_inclusive('\n').skip(1 + USERS));
    std::fs::write(directory.join("first.csv"), all)?;
    std::fs::write(directory.join("refresh.csv"), rest)?;
    Ok(())
}

fn measure(server: &Server, directory: &Path, rate: u32, calls: usize) -> Result<[Row; 3]> {
    let register = |file: &str, count: usize| {
        let run = Sipp {
            scenario: "register.xml",
            file,
            port: CALLEE_PORT,
            rate: 1_000,
            count,
        };
        run.run(server, directory)
    };
    let first = register("first.csv", USERS)?;
    let refresh = register("refresh.csv", USERS * REFRESHES)?;
    let mut callee = Command::new("sipp");
    callee.args(["-sf", "callee.xml", "-i", "127.0.0.1", "-nostdin", "-p"]);
    let callee = callee.arg(CALLEE_PORT.to_string()).current_dir(directory);
    let _callee = Killed(callee.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?);
    wait_for(CALLEE_PORT)?;
    let call = Sipp {
        scenario: "caller.xml",
        file: "first.csv",
        port: CALLER_PORT,
        rate,
        count: calls,
    };
    Ok([first, refresh, call.run(server, directory)?])
}

/// One run of SIPp.
struct Sipp<'a> {
    scenario: &'a str,
    file: &'a str,
    port: u16,
    rate: u32,
    count: usize,
}

impl Sipp<'_> {
    fn run(&self, server: &Server, directory: &Path) -> Result<Row> {
        let (statistics, times) = (directory.join("stat.csv"), directory.join("times"));
        let _ = std::fs::remove_dir_all(&times);
        std::fs::create_dir_all(&times)?;
        let mut sipp = Command::new("sipp");
        sipp.current_dir(&times)
            .arg(format!("127.0.0.1:{SERVER}"))
            .args([
                "-i",
                "127.0.0.1",
                "-nostdin",
                "-trace_stat",
                "-trace_rtt",
                "-rtt_freq",
                "1",
            ])
            .arg("-sf")
            .arg(directory.join(self.scenario))
            .arg("-inf")
            .arg(directory.join(self.file))
            .arg("-stf")
            .arg(&statistics)
            .args(["-p", &self.port.to_string(), "-r", &self.rate.to_string()])
            .args(["-m", &self.count.to_string(), "-l", "3000"])
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let before = server.ticks();
        // It ends with 1 if a call failed, which the statistics say too.
        let status = sipp.status().context("sipp does not start")?;
        let spent = server.ticks() - before;
        if !matches!(status.code(), Some(0 | 1)) {
            bail!("sipp ended with {status}");
        }
        let (again, failed) = counts(&std::fs::read_to_string(&statistics)?)?;
        let mut waits = waits(&times)?;
        waits.sort_by(f64::total_cmp);
        let part = |of: usize| {
            waits
                .get((waits.len().max(1) - 1) * of / 100)
                .copied()
                .unwrap_or(f64::NAN)
        };
        Ok(Row {
            cost: spent as f64 * 1e6 / TICKS as f64 / self.count as f64,
            again,
            failed,
            median: part(50),
            worst: part(99),
        })
    }
}

/// Retransmissions and failed calls of SIPp's statistics, in total.
fn counts(text: &str) -> Result<(u64, u64)> {
    let mut lines = text.lines();
    let names: Vec<&str> = lines.next().unwrap_or("").split(';').collect();
    let last: Vec<&str> = lines.next_back().unwrap_or("").split(';').collect();
    let value = |name: &str| {
        let place = names.iter().position(|one| *one == name);
        let value = place.and_then(|place| last.get(place)?.parse().ok());
        value.with_context(|| format!("sipp's statistics have no {name}"))
    };
    Ok((value("Retransmissions(C)")?, value("FailedCall(C)")?))
}

/// The times to the answer, of the one file in a directory.
fn waits(directory: &Path) -> Result<Vec<f64>> {
    let mut all = Vec::new();
    for file in std::fs::read_dir(directory)? {
        let text = std::fs::read_to_string(file?.path())?;
        let times = text
            .lines()
            .skip(1)
            .filter_map(|line| line.split(';').nth(1)?.parse::<f64>().ok());
        all.extend(times);
    }
    Ok(all)
}

/// A SIP server that runs.
struct Server(Killed);

impl Server {
    fn start(name: &str, directory: &Path) -> Result<Self> {
        UdpSocket::bind(("127.0.0.1", SERVER))
            .with_context(|| format!("port {SERVER} is in use: end the program that has it"))?;
        let mut command = match name {
            "ours" => {
                let config = directory.join("node.toml");
                let text = format!(
                    "[sip]\ndomain = \"example.org\"\nlisten = \"127.0.0.1:{SERVER}\"\nopen_registrar = true\nrecord_route = true\n"
                );
                std::fs::write(&config, text)?;
                let program = workspace::target_directory()?.join("release/relay-node");
                let mut node = Command::new(program);
                node.arg("run").arg("--config").arg(config);
                node
            }
            _ => {
                let config = directory.join("kamailio.cfg");
                std::fs::write(&config, KAMAILIO.replace("@modules@", &modules()?))?;
                let mut kamailio = Command::new("kamailio");
                kamailio.args([
                    "-DD",
                    "-m",
                    "512",
                    "-M",
                    "16",
                    "-l",
                    &format!("udp:127.0.0.1:{SERVER}"),
                ]);
                kamailio.arg("-Y").arg(directory).arg("-f").arg(config);
                kamailio
            }
        };
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let server = Self(Killed(
            child.with_context(|| format!("{name} does not start"))?,
        ));
        wait_for(SERVER)?;
        std::thread::sleep(Duration::from_secs(1));
        Ok(server)
    }

    /// Processor time so far, of it and its children.
    fn ticks(&self) -> u64 {
        let own = self.0.0.id();
        let all = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        let stats = all.filter_map(|entry| std::fs::read_to_string(entry.path().join("stat")).ok());
        stats
            .filter_map(|stat| {
                let pid: u32 = stat.split(' ').next()?.parse().ok()?;
                let rest: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
                let parent: u32 = rest.get(1)?.parse().ok()?;
                let time = |at: usize| rest.get(at)?.parse::<u64>().ok();
                (pid == own || parent == own).then_some(time(11)? + time(12)?)
            })
            .sum()
    }
}

/// Where Debian puts Kamailio's modules.
fn modules() -> Result<String> {
    let known = std::fs::read_dir("/usr/lib")?.flatten();
    let mut places = known.map(|entry| entry.path().join("kamailio/modules"));
    let found: Option<PathBuf> = places.find(|place| place.is_dir());
    let found = found.context("kamailio has no modules in /usr/lib")?;
    Ok(format!("{}/", found.display()))
}

/// Waits until somebody has a port.
fn wait_for(port: u16) -> Result<()> {
    for _ in 0..600 {
        if UdpSocket::bind(("127.0.0.1", port)).is_err() {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    bail!("nothing listens on port {port}")
}

/// A process that ends with the value.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // Kamailio's children end with their parent, if that is told rather than killed.
        let _ = Command::new("kill").arg(self.0.id().to_string()).status();
        for _ in 0..100 {
            if matches!(self.0.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
