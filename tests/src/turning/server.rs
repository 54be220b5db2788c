//! The servers that are measured.

use std::net::{SocketAddr, UdpSocket};
use std::process::Command;
use std::time::Duration;

use crate::{PATIENCE, Process, relay_node, until};
use rustix::thread::{CpuSet, Pid, sched_setaffinity};

pub(super) const NAME: &str = "ann";
pub(super) const PASSWORD: &str = "secret";
pub(super) const REALM: &str = "example.org";

/// One of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    Ours,
    Coturn,
}

impl Which {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Coturn => "coturn",
        }
    }
}

/// A relay that runs.
#[derive(Debug)]
pub(super) struct Relay {
    pub(super) address: SocketAddr,
    id: u32,
    _process: Process,
    _data: tempfile::TempDir,
}

impl Relay {
    /// Starts it, on these processors.
    pub(super) async fn start(which: Which, processors: Option<CpuSet>) -> Self {
        let data = tempfile::TempDir::with_prefix("partyline-turn-").expect("a directory");
        let output = data.path().join("output.log");
        let (process, id, address) = match which {
            Which::Ours => {
                let mut command = relay_node();
                command.args(["dev", "--http", "127.0.0.1:0", "--super-nodes", "1"]);
                command.args(["--domain", REALM, "--turn", "127.0.0.1:0"]);
                command.args(["--turn-user", &format!("{NAME}:{PASSWORD}")]);
                command
                    .args(["--allow-loopback-peers", "--data"])
                    .arg(data.path());
                let process = Process::start(&command, &output).expect("relay-node starts");
                let ready = process.ready("the network").await;
                let id = ready["super_nodes"][0]["pid"].as_u64().expect("a process");
                let address = ready["turn"]["address"]
                    .as_str()
                    .and_then(|text| text.parse().ok());
                (process, id as u32, address.expect("an address"))
            }
            Which::Coturn => {
                let free = UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
                let address = free.expect("a port");
                let mut command = Command::new("turnserver");
                command.args(["-n", "--no-cli", "--no-tls", "--no-dtls", "--no-rfc5780"]);
                command.args([
                    "--allow-loopback-peers",
                    "--lt-cred-mech",
                    "--log-file",
                    "/dev/null",
                ]);
                command.args(["-L", "127.0.0.1", "-E", "127.0.0.1", "-r", REALM]);
                command.args(["-p", &address.port().to_string()]);
                command.args(["-u", &format!("{NAME}:{PASSWORD}")]);
                command.arg("--pidfile").arg(data.path().join("pid"));
                let process = Process::start(&command, &output).expect("coturn starts");
                let id = process.id();
                (process, id, address)
            }
        };
        until("the relay", PATIENCE, async || {
            answers(address).ok_or("no answer")
        })
        .await;
        let relay = Self {
            address,
            id,
            _process: process,
            _data: data,
        };
        if let Some(processors) = processors {
            for thread in relay.threads() {
                let thread = thread.parse().ok().and_then(Pid::from_raw);
                sched_setaffinity(thread, &processors).expect("a processor");
            }
        }
        relay
    }

    fn threads(&self) -> Vec<String> {
        let all = std::fs::read_dir(format!("/proc/{}/task", self.id)).expect("it runs");
        all.flatten()
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect()
    }

    /// The processors' time that it has taken.
    pub(super) fn processor(&self) -> Duration {
        let nanoseconds = self.threads().into_iter().map(|thread| {
            let path = format!("/proc/{}/task/{thread}/schedstat", self.id);
            let text = std::fs::read_to_string(path).unwrap_or_default();
            let first = text
                .split(' ')
                .next()
                .and_then(|word| word.parse::<u64>().ok());
            first.unwrap_or_default()
        });
        Duration::from_nanos(nanoseconds.sum())
    }

    /// Its resident memory in bytes.
    pub(super) fn memory(&self) -> u64 {
        crate::idle::resident(self.id)
    }
}

/// Asks a STUN server, and hears whether it is there.
fn answers(address: SocketAddr) -> Option<()> {
    let socket = UdpSocket::bind("127.0.0.1:0").ok()?;
    socket
        .set_read_timeout(Some(Duration::from_millis(200)))
        .ok()?;
    let id = turn::TransactionId([7; 12]);
    let request = turn::Builder::new(turn::Class::Request, turn::Method::BINDING, id);
    socket.send_to(&request.finish(), address).ok()?;
    socket.recv(&mut [0; 512]).ok().map(drop)
}
