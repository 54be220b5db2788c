//! A network of real super nodes on this machine.

use crate::process::{Process, has_ended, signal};
use crate::{Lie, PATIENCE, artefacts, until};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// `relay-node dev` with its super nodes and its login and bootstrap server; ends with the test.
#[derive(Debug)]
pub struct Network {
    process: Process,
    ready: Value,
    data: TempDir,
}

/// One super node of a [`Network`].
#[derive(Debug, Clone)]
pub struct SuperNode {
    /// Its node id in hex.
    pub node: String,
    /// Its process.
    pub pid: u64,
    /// Where its page is.
    pub page: String,
    /// Where other super nodes reach it.
    pub quic: String,
    /// Its configuration file.
    pub config: PathBuf,
}

impl Network {
    /// Starts a network and waits until each of its parts answers.
    ///
    /// # Panics
    ///
    /// When it doesn't come up.
    pub async fn start(super_nodes: usize) -> Self {
        Self::start_with(super_nodes, &[]).await
    }

    /// The same with more settings for every node: pairs of environment names and values.
    ///
    /// # Panics
    ///
    /// When it doesn't come up.
    pub async fn start_with(super_nodes: usize, settings: &[(&str, &str)]) -> Self {
        Self::start_as(super_nodes, &[], settings).await
    }

    /// A network whose super nodes relay, also for two users of one machine.
    ///
    /// # Panics
    ///
    /// When it doesn't come up.
    pub async fn start_relaying(super_nodes: usize) -> Self {
        Self::start_as(super_nodes, &["--allow-loopback-peers"], &[]).await
    }

    /// A network where SIP phones register without a password.
    ///
    /// # Panics
    ///
    /// When it doesn't come up.
    pub async fn start_with_phones(super_nodes: usize) -> Self {
        let flags = ["--sip", "127.0.0.1:0", "--open-registrar"];
        Self::start_as(super_nodes, &flags, &[]).await
    }

    /// Where a super node takes SIP by a transport: `udp`, `tcp` or `tls`.
    ///
    /// # Panics
    ///
    /// When it takes none.
    pub fn registrar(&self, number: usize, transport: &str) -> String {
        let sip = &self.ready["super_nodes"][number]["sip"];
        let address = sip[if transport == "tls" { "tls" } else { "address" }].as_str();
        address
            .unwrap_or_else(|| panic!("no {transport} in {sip}"))
            .to_owned()
    }

    /// Waits until the overlay knows a phone of this user at a super node.
    ///
    /// # Panics
    ///
    /// When it never does.
    pub async fn has_line(&self, number: usize, user: &str) {
        let placed = format!("phone's record placed aor=sip:{user}@");
        let log = self.super_nodes()[number].config.with_extension("log");
        until("the phone's record", PATIENCE, async || {
            let output = std::fs::read_to_string(&log).unwrap_or_default();
            if output.contains(&placed) {
                Ok(())
            } else {
                Err(output)
            }
        })
        .await;
    }

    async fn start_as(super_nodes: usize, flags: &[&str], settings: &[(&str, &str)]) -> Self {
        let data = TempDir::with_prefix("partyline-network-").expect("a temporary directory");
        let mut command = relay_node();
        command
            .args(["dev", "--http", "127.0.0.1:0", "--domain", "example.org"])
            .args(["--super-nodes", &super_nodes.to_string()])
            .args(flags)
            .arg("--data")
            .arg(data.path())
            .arg("--page")
            .arg(artefacts::page())
            .envs(settings.iter().copied());
        let output = data.path().join("output.log");
        let process = Process::start(&command, &output).expect("relay-node starts");
        let ready = process.ready("the network").await;
        Self {
            process,
            ready,
            data,
        }
    }

    /// The domain of the network's users.
    pub fn domain(&self) -> &str {
        self.ready["domain"]
            .as_str()
            .expect("the ready line names the domain")
    }

    /// The overlay's id in hex.
    pub fn overlay(&self) -> &str {
        self.ready["overlay"]
            .as_str()
            .expect("the ready line names the overlay")
    }

    /// The origin of the login server.
    pub fn login(&self) -> &str {
        self.ready["login"]["url"]
            .as_str()
            .expect("the ready line names the login server")
    }

    /// The super nodes in their order.
    ///
    /// # Panics
    ///
    /// When the ready line lacks one of a node's fields.
    pub fn super_nodes(&self) -> Vec<SuperNode> {
        let nodes = self.ready["super_nodes"]
            .as_array()
            .expect("a list of super nodes");
        let text = |value: &Value| value.as_str().expect("an address").to_owned();
        nodes
            .iter()
            .map(|node| SuperNode {
                node: text(&node["node"]),
                pid: node["pid"].as_u64().expect("a process id"),
                page: text(&node["page"]),
                quic: text(&node["quic"]),
                config: PathBuf::from(text(&node["config"])),
            })
            .collect()
    }

    /// Where the page of one super node is.
    pub fn page(&self, number: usize) -> String {
        self.super_nodes()[number].page.clone()
    }

    /// Ends a super node at once, as a crash would (`kill -9`).
    pub fn kill(&self, number: usize) {
        signal("KILL", &self.super_nodes()[number].pid.to_string());
    }

    /// Ends the login and bootstrap server at once.
    ///
    /// # Panics
    ///
    /// When the ready line does not name its process.
    pub fn kill_login(&self) {
        signal(
            "KILL",
            &self.ready["login"]["pid"]
                .as_u64()
                .expect("a process id")
                .to_string(),
        );
    }

    /// Puts a super node that lies in the place of one that does not: same key, same certificate, same addresses.
    ///
    /// # Panics
    ///
    /// When it doesn't come up.
    pub async fn corrupt(&self, number: usize) -> EvilNode {
        self.kill(number);
        let node = &self.super_nodes()[number];
        until("the end of the honest node", PATIENCE, async || {
            has_ended(node.pid).then_some(()).ok_or(())
        })
        .await;
        let wishes = self.data.path().join(format!("wishes{number}"));
        tell(&wishes, Lie::None);
        let mut command = Command::new(artefacts::program("examples/evil"));
        command.arg(&node.config).arg(&wishes);
        let log = self.data.path().join(format!("evil{number}.log"));
        let process = Process::start(&command, &log).expect("the evil node starts");
        until("the evil node", PATIENCE, async || {
            if readable(&format!("{}/readyz", node.page)).await {
                Ok(())
            } else {
                Err(process.output())
            }
        })
        .await;
        EvilNode {
            wishes,
            _process: process,
        }
    }

    /// A token with which one more node may become a super node.
    ///
    /// # Panics
    ///
    /// When `relay-node token` fails.
    pub fn token(&self) -> String {
        let config = self.ready["login"]["config"]
            .as_str()
            .expect("the ready line names the login server's file");
        let mut command = relay_node();
        let output = command
            .args(["token", "--config", config])
            .output()
            .expect("relay-node starts");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout)
            .expect("a token is text")
            .trim()
            .to_owned()
    }

    /// The directory that holds the network's data and configuration.
    pub fn data(&self) -> &Path {
        self.data.path()
    }

    /// Everything that the network has printed.
    pub fn output(&self) -> String {
        self.process.output()
    }
}

/// The built node, to be given arguments.
pub fn relay_node() -> Command {
    Command::new(artefacts::program("relay-node"))
}

/// Starts a node from a configuration file, in a process of its own; it prints into a `.log` beside the file.
///
/// # Panics
///
/// When it can't be started; that it answers is for the caller to see.
pub fn start_node(config: &Path) -> Process {
    let mut command = relay_node();
    command.args(["run", "--config"]).arg(config);
    Process::start(&command, &config.with_extension("log")).expect("relay-node starts")
}

/// A super node that lies as it is told; ends when dropped.
#[derive(Debug)]
pub struct EvilNode {
    wishes: PathBuf,
    _process: Process,
}

impl EvilNode {
    /// From now on it tells this lie.
    ///
    /// # Panics
    ///
    /// When the file of wishes can't be written.
    pub fn tell(&self, lie: Lie) {
        tell(&self.wishes, lie);
    }

    /// Gets hold of the certificate of a super node of another network, for [`Lie::Certificate`].
    ///
    /// # Panics
    ///
    /// When the super node has none.
    pub fn borrow(&self, other: &Network, number: usize) {
        let enrolment = format!("node{}/enrolment.json", number + 1);
        let enrolment = std::fs::read(other.data().join(enrolment)).expect("an enrolled node");
        let enrolment: Value = serde_json::from_slice(&enrolment).expect("JSON");
        let certificate = enrolment["certificate"].as_str().expect("a certificate");
        let certificate = STANDARD.decode(certificate).expect("base64");
        std::fs::write(self.wishes.with_extension("certificate"), certificate)
            .expect("the network's directory is ours");
    }
}

/// The super node reads the file at any moment: it must never find half of a word.
fn tell(wishes: &Path, lie: Lie) {
    let new = wishes.with_extension("new");
    std::fs::write(&new, lie.word()).expect("the file of wishes is ours");
    std::fs::rename(&new, wishes).expect("the file of wishes is ours");
}

/// Whether a GET of a clear-text address is answered with 200.
pub async fn readable(address: &str) -> bool {
    let Some((host, path)) = address
        .strip_prefix("http://")
        .and_then(|rest| rest.split_once('/'))
    else {
        return false;
    };
    let Ok(mut socket) = TcpStream::connect(host).await else {
        return false;
    };
    let request = format!("GET /{path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
    let mut answer = Vec::new();
    let sent = socket.write_all(request.as_bytes()).await.is_ok();
    sent && socket.read_to_end(&mut answer).await.is_ok() && answer.starts_with(b"HTTP/1.1 200")
}
