//! A network of real super nodes on this machine.

use crate::process::{Process, signal};
use crate::{PATIENCE, artefacts, until};
use serde_json::Value;
use std::process::Command;
use tempfile::TempDir;

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
        let data = TempDir::with_prefix("partyline-network-").expect("a temporary directory");
        let mut command = Command::new(artefacts::program("relay-node"));
        command
            .args(["dev", "--http", "127.0.0.1:0", "--domain", "example.org"])
            .args(["--super-nodes", &super_nodes.to_string()])
            .arg("--data")
            .arg(data.path())
            .arg("--page")
            .arg(artefacts::page())
            .envs(settings.iter().copied());
        let output = data.path().join("output.log");
        let process = Process::start(&mut command, &output).expect("relay-node starts");
        let ready = until("the network", PATIENCE, async || {
            let output = process.output();
            let line = output.lines().find_map(|line| line.strip_prefix("ready "));
            line.and_then(|line| serde_json::from_str(line).ok())
                .ok_or(output)
        })
        .await;
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

    /// The directory that holds the network's data and configuration.
    pub fn data(&self) -> &std::path::Path {
        self.data.path()
    }

    /// Everything that the network has printed.
    pub fn output(&self) -> String {
        self.process.output()
    }
}
