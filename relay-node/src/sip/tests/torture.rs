//! The messages of RFC 4475 and RFC 5118 by UDP at a proxy that runs: what the sender gets, and what goes on.

use sip::Message;
use tokio::net::UdpSocket;

use super::*;
use crate::testing::Zone;

/// Where the messages come from.
const SENDER: &str = "127.44.75.1";
/// Whom all names and the location server lead to.
const SINK: &str = "127.44.75.2:5060";

/// What comes of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// It arrives where it is for.
    Forwarded,
    /// It is for an address that is nowhere near: nobody refuses it.
    Away,
    /// It is answered with this status.
    Answered(u16),
    /// Nothing at all.
    Ignored,
}

use Outcome::{Answered, Away, Forwarded, Ignored};

macro_rules! messages {
    ($folder:literal: $($name:literal => $outcome:expr,)*) => {
        &[$((
            $name,
            include_bytes!(concat!("../../../../sip/tests/proxy/torture/", $folder, "/", $name)),
            $outcome,
        ),)*]
    };
}

type Table = &'static [(&'static str, &'static [u8], Outcome)];

const RFC_4475: Table = messages! { "rfc4475":
    "wsinv" => Forwarded,
    "intmeth" => Forwarded,
    "esc01" => Forwarded,
    "escnull" => Answered(200),
    "esc02" => Forwarded,
    "lwsdisp" => Forwarded,
    "longreq" => Forwarded,
    "dblreq" => Answered(200),
    "semiuri" => Forwarded,
    "transports" => Forwarded,
    // by its Route to a port of its sender's machine
    "mpart01" => Away,
    "unreason" => Ignored,
    "noreason" => Ignored,
    "badinv01" => Answered(400),
    "clerr" => Answered(400),
    "ncl" => Answered(400),
    "scalar02" => Answered(400),
    "scalarlg" => Ignored,
    "quotbal" => Answered(400),
    "ltgtruri" => Answered(400),
    "lwsruri" => Answered(400),
    "lwsstart" => Answered(400),
    "trws" => Answered(400),
    "escruri" => Answered(400),
    "baddate" => Forwarded,
    "regbadct" => Answered(400),
    "badaspec" => Answered(400),
    "baddn" => Answered(400),
    "badvers" => Answered(505),
    "mismatch01" => Answered(400),
    "mismatch02" => Answered(501),
    "bigcode" => Ignored,
    "badbranch" => Answered(400),
    "insuf" => Answered(400),
    "unkscm" => Answered(416),
    "novelsc" => Answered(416),
    "unksm2" => Answered(400),
    "bext01" => Answered(420),
    "invut" => Forwarded,
    // believed without a password here
    "regaut01" => Answered(200),
    "multi01" => Answered(400),
    "mcl01" => Answered(400),
    "bcast" => Ignored,
    "zeromf" => Answered(483),
    "cparam01" => Answered(200),
    "cparam02" => Answered(200),
    "regescrt" => Answered(200),
    "sdp01" => Forwarded,
    "inv2543" => Forwarded,
};

const RFC_5118: Table = messages! { "rfc5118":
    "ipv6-good" => Away,
    "ipv6-bad" => Answered(400),
    "port-ambiguous" => Away,
    "port-unambiguous" => Away,
    "via-received-param-with-delim" => Away,
    "via-received-param-no-delim" => Away,
    "ipv6-in-sdp" => Away,
    "mult-ip-in-header" => Forwarded,
    "mult-ip-in-sdp" => Away,
    "ipv4-mapped-ipv6" => Forwarded,
    "ipv6-bug-abnf-3-colons" => Away,
    "ipv6-correct-abnf-2-colons" => Away,
};

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
    for (name, bytes, expected) in RFC_4475.iter().chain(RFC_5118) {
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
        let outcome = scene.outcome(*expected == Forwarded).await;
        let expected = if *expected == Away {
            Ignored
        } else {
            *expected
        };
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
