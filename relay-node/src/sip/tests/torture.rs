//! The messages of RFC 4475 and RFC 5118 by UDP at a proxy that runs: what the sender gets, and what goes on.

use sip::Message;
use tokio::net::UdpSocket;

use super::*;
use crate::testing::Zone;
use outcomes::Outcome::{self, Answered, Forwarded, Ignored, Registered};
use outcomes::{RFC_4475, RFC_5118};

/// Where the messages come from.
const SENDER: &str = "127.44.75.1";
/// Whom all names and the location server lead to.
const SINK: &str = "127.44.75.2:5060";

#[path = "../../../../sip/tests/proxy/torture/outcomes.rs"]
mod outcomes;

/// What comes of a message here, beyond what a proxy owes it anywhere: this server's registrar asks for no password, and not all
/// that goes on goes to the sink.
fn expected(name: &str, owed: Outcome) -> Outcome {
    match (name, owed) {
        // By its Route to a port of its sender's machine, or to an address that is nowhere near: nobody refuses it.
        (
            "mpart01"
            | "ipv6-good"
            | "port-ambiguous"
            | "port-unambiguous"
            | "via-received-param-with-delim"
            | "via-received-param-no-delim"
            | "ipv6-in-sdp"
            | "mult-ip-in-sdp"
            | "ipv6-bug-abnf-3-colons"
            | "ipv6-correct-abnf-2-colons",
            Forwarded,
        ) => Ignored,
        ("regaut01", Registered(401)) => Answered(200),
        (_, Registered(status)) => Answered(status),
        (_, owed) => owed,
    }
}

#[tokio::test]
async fn a40_r054_each_torture_message_by_udp_has_the_outcome_that_its_rfc_demands() {
    let address = SINK.trim_end_matches(":5060");
    let zone = Zone::serve(&[format!("* A {address}")]).await;
    let text = format!(
        "[sip]\ndomain = \"example.com\"\nlisten = \"127.0.0.1:0\"\nopen_registrar = true\n\
         location_server = \"sip:{SINK}\"\ndns = [\"{}\"]\n",
        zone.address
    );
    let config = config::parse(Path::new("sip.toml"), &text, [], &[]).unwrap();
    let config = config.sip.unwrap();
    for (name, bytes, owed) in RFC_4475.iter().chain(RFC_5118) {
        let expected = expected(name, *owed);
        // All anew, so that nothing of the one is left for the next.
        let server = start(config.clone()).await.unwrap();
        let scene = Scene {
            sink: UdpSocket::bind(SINK).await.unwrap(),
            sender: UdpSocket::bind((SENDER, 5060)).await.unwrap(),
            other: UdpSocket::bind((SENDER, 5050)).await.unwrap(),
            server: server.listen,
        };
        scene.sender.send_to(bytes, server.listen).await.unwrap();
        println!("{name}");
        let outcome = scene.outcome(expected == Forwarded).await;
        assert_eq!(outcome, expected, "{name}");
        server.task.abort();
        let _ = server.task.await;
    }
}

struct Scene {
    sink: UdpSocket,
    /// Responses go to the port that a Via names.
    sender: UdpSocket,
    other: UdpSocket,
    server: SocketAddr,
}

impl Scene {
    /// What comes of the message that was sent. Nothing, if questions that were asked after it are answered before anything comes of it.
    async fn outcome(&self, patient: bool) -> Outcome {
        let mut buffers = [[0; 65_536]; 3];
        let [first, second, third] = &mut buffers;
        let mut answers = 0;
        let waiting = async {
            if !patient {
                self.probe().await;
            }
            loop {
                tokio::select! {
                    length = self.sender.recv(first) => match heard(&first[..length.unwrap()]) {
                        // Once more, for what has come at another socket meanwhile.
                        Some(Ignored) if answers < 3 => {
                            answers += 1;
                            self.probe().await;
                        }
                        Some(outcome) => return outcome,
                        None => {}
                    },
                    length = self.other.recv(second) => {
                        if let Some(outcome) = heard(&second[..length.unwrap()]) {
                            return outcome;
                        }
                    }
                    length = self.sink.recv(third) => {
                        Message::parse(third[..length.unwrap()].to_vec()).unwrap();
                        return Forwarded;
                    }
                }
            }
        };
        let waited = tokio::time::timeout(PATIENCE, waiting).await;
        waited.expect("neither the message nor the question after it comes to anything")
    }

    async fn probe(&self) {
        let probe = request("OPTIONS", "probe", &format!("UDP {SENDER}:5060"), "");
        let probe = probe.replace("sip:probe@example.org SIP/2.0", "sip:example.com SIP/2.0");
        self.sender
            .send_to(probe.as_bytes(), self.server)
            .await
            .unwrap();
    }
}

/// What a response says; [`Ignored`], if it is the probe's.
fn heard(bytes: &[u8]) -> Option<Outcome> {
    let text = String::from_utf8_lossy(bytes);
    let status: u16 = text.get(8..11)?.parse().ok()?;
    if text.contains("Call-ID: OPTIONSprobe") {
        return Some(Ignored);
    }
    (status > 100).then_some(Answered(status))
}
