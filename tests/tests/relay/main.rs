//! The relay, as coturn's clients see it. `cargo xtask test relay` installs them and runs this.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;
use tests::{Process, relay_node};

/// A network of one super node whose relay programs outside may use.
struct Relay {
    _process: Process,
    turn: Value,
    data: tempfile::TempDir,
}

impl Relay {
    async fn start() -> Self {
        let data =
            tempfile::TempDir::with_prefix("partyline-relay-").expect("a temporary directory");
        let mut command = relay_node();
        command.args([
            "dev",
            "--http",
            "127.0.0.1:0",
            "--super-nodes",
            "1",
            "--turn",
            "127.0.0.1:0",
        ]);
        command
            .args([
                "--turn-user",
                "ann:secret",
                "--allow-loopback-peers",
                "--data",
            ])
            .arg(data.path());
        let process =
            Process::start(&command, &data.path().join("output.log")).expect("relay-node starts");
        let ready = process.ready("the network").await;
        Self {
            _process: process,
            turn: ready["turn"].clone(),
            data,
        }
    }

    fn address(&self, name: &str) -> SocketAddr {
        let address = self.turn[name].as_str().and_then(|text| text.parse().ok());
        address.expect("the ready line names the relay's addresses")
    }

    fn certificate(&self) -> PathBuf {
        PathBuf::from(
            self.turn["certificate"]
                .as_str()
                .expect("the ready line names the certificate"),
        )
    }

    /// Starts what sends everything back.
    fn peer(&self) -> (Process, u16) {
        let taken = std::net::UdpSocket::bind("127.0.0.1:0").expect("a port");
        let port = taken.local_addr().expect("an address").port();
        drop(taken);
        let mut command = Command::new("turnutils_peer");
        command.args(["-L", "127.0.0.1", "-p", &port.to_string()]);
        let process = Process::start(&command, &self.data.path().join("peer.log"))
            .expect("turnutils_peer starts");
        (process, port)
    }

    /// Lets coturn's client send 4 times 50 messages, and gives what it printed.
    fn client(&self, port: u16, arguments: &[&str]) -> String {
        let secure = arguments.contains(&"-S");
        let server = self.address(if secure { "tls" } else { "address" });
        let mut command = Command::new("timeout");
        command.args([
            "120",
            "turnutils_uclient",
            "-u",
            "ann",
            "-w",
            "secret",
            "-n",
            "50",
            "-m",
            "4",
            "-z",
            "5",
            "-l",
            "172",
        ]);
        command.args([
            "-e",
            "127.0.0.1",
            "-r",
            &port.to_string(),
            "-p",
            &server.port().to_string(),
        ]);
        command.args(arguments);
        if secure {
            command.arg("-E").arg(self.certificate());
        }
        let output = command
            .arg(server.ip().to_string())
            .output()
            .expect("turnutils_uclient runs");
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text).into_owned();
        assert!(
            output.status.success(),
            "{arguments:?}: {}\n{text}",
            output.status
        );
        text
    }

    /// The same, and nothing may be lost.
    fn passes(&self, port: u16, arguments: &[&str]) {
        let text = self.client(port, arguments);
        let counted = |name: &str| {
            let last = text.lines().rfind(|line| line.contains(name));
            let rest = last.and_then(|line| line.split_once(name));
            let digits = rest
                .map(|(_, rest)| rest.trim_start_matches([' ', '=', ':']).to_owned())
                .unwrap_or_default();
            digits
                .split(|c: char| !c.is_ascii_digit())
                .next()
                .and_then(|digits| digits.parse::<u64>().ok())
        };
        let (sent, received) = (counted("tot_send_msgs"), counted("tot_recv_msgs"));
        assert!(
            sent.is_some_and(|sent| sent >= 200) && sent == received,
            "{arguments:?}: {text}"
        );
    }
}

#[tokio::test]
async fn r113_coturns_client_relays_by_udp() {
    let relay = Relay::start().await;
    let (_peer, port) = relay.peer();
    for arguments in [
        &[][..],
        &["-s"],
        &["-c"],
        &["-y"],
        &["-y", "-s"],
        &["-g"],
        &["-D"],
        &["-G"],
    ] {
        relay.passes(port, arguments);
    }
}

#[tokio::test]
async fn r113_coturns_client_relays_by_tcp_and_tls() {
    let relay = Relay::start().await;
    let (_peer, port) = relay.peer();
    for arguments in [
        &["-t"][..],
        &["-t", "-s"],
        &["-t", "-y"],
        &["-t", "-S"],
        &["-t", "-S", "-y"],
    ] {
        relay.passes(port, arguments);
    }
}

#[tokio::test]
async fn r113_coturns_client_opens_tcp_connections_to_peers() {
    let relay = Relay::start().await;
    for arguments in [&["-T"][..], &["-T", "-S"]] {
        relay.passes(0, arguments);
    }
}

#[tokio::test]
async fn r116_coturns_client_with_a_wrong_password_gets_nothing() {
    let relay = Relay::start().await;
    let server = relay.address("address");
    let mut command = Command::new("timeout");
    command.args([
        "20",
        "turnutils_uclient",
        "-u",
        "ann",
        "-w",
        "wrong",
        "-e",
        "127.0.0.1",
    ]);
    command.args(["-p", &server.port().to_string(), "127.0.0.1"]);
    let output = command.output().expect("turnutils_uclient runs");
    assert!(!output.status.success());
}

#[tokio::test]
async fn r112_coturns_stun_client_learns_its_address() {
    let relay = Relay::start().await;
    let server = relay.address("address");
    let mut command = Command::new("timeout");
    command.args([
        "20",
        "turnutils_stunclient",
        "-p",
        &server.port().to_string(),
        "127.0.0.1",
    ]);
    let output = command.output().expect("turnutils_stunclient runs");
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    assert!(text.contains("UDP reflexive addr: 127.0.0.1:"), "{text}");
}
