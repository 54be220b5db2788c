//! A super node that lies: the real one, with what it tells its ordinary nodes changed on the way out.
//!
//! Tests start it in the place of an honest one, with that one's configuration: `evil FILE TRICK`.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

use credential::{Certificate, MemberStatement, OverlayId};
use machine::{Instant, Machine};
use overlay::association::{FromOrdinary, FromSuperNode};
use overlay::peer::Message;
use overlay::{SignedRecord, frame};
use p2psip::{SuperNode, SuperNodeInput as Input, SuperNodeOutput as Output};
use relay_node::{SuperNodeMachine, config, node};

/// What it lies about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trick {
    /// Another fingerprint in every location record.
    AlteredRecord,
    /// Another user's valid record in the place of the one asked for.
    OtherRecord,
    /// The first record that it ever saw of a user, whatever came later.
    OldRecord,
    /// Another fingerprint in the offer of a call.
    Offer,
    /// Another fingerprint in the answer.
    Answer,
}

impl Trick {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "altered-record" => Self::AlteredRecord,
            "other-record" => Self::OtherRecord,
            "old-record" => Self::OldRecord,
            "offer" => Self::Offer,
            "answer" => Self::Answer,
            _ => return None,
        })
    }
}

struct Evil {
    honest: SuperNode,
    overlay: OverlayId,
    trick: Trick,
    /// The first record seen of every owner.
    kept: BTreeMap<String, SignedRecord>,
}

impl Evil {
    fn keep(&mut self, record: &SignedRecord) {
        if !record.control.removed {
            let owner = record.control.owner.to_string();
            self.kept.entry(owner).or_insert_with(|| record.clone());
        }
    }

    fn change(&mut self, output: Output) -> Output {
        match (self.trick, output) {
            (Trick::Offer, Output::Text { link, text }) if text.starts_with("INVITE ") => {
                Output::Text {
                    link,
                    text: other_fingerprint(&text),
                }
            }
            (Trick::Answer, Output::Text { link, text }) if text.starts_with("SIP/2.0 ") => {
                Output::Text {
                    link,
                    text: other_fingerprint(&text),
                }
            }
            (_, Output::Frame { link, bytes }) => Output::Frame {
                link,
                bytes: self.change_frame(bytes),
            },
            (_, output) => output,
        }
    }

    fn change_frame(&mut self, bytes: Vec<u8>) -> Vec<u8> {
        let Ok(FromSuperNode::Records {
            request,
            mut records,
            end,
        }) = frame::decode(self.overlay, &bytes)
        else {
            return bytes;
        };
        records.iter().for_each(|record| self.keep(record));
        for record in &mut records {
            let owner = record.control.owner.to_string();
            match self.trick {
                Trick::AlteredRecord => {
                    let body = String::from_utf8_lossy(&record.body);
                    record.body = other_fingerprint(&body).into_bytes();
                }
                Trick::OtherRecord => {
                    if let Some((_, other)) = self.kept.iter().find(|(of, _)| **of != owner) {
                        record.clone_from(other);
                    }
                }
                Trick::OldRecord => {
                    if let Some(old) = self.kept.get(&owner) {
                        record.clone_from(old);
                    }
                }
                Trick::Offer | Trick::Answer => {}
            }
        }
        let message = FromSuperNode::Records {
            request,
            records,
            end,
        };
        frame::encode(self.overlay, &message)
    }
}

impl Machine for Evil {
    type Input = Input;
    type Output = Output;

    fn handle_input(&mut self, input: Input, now: Instant) {
        match &input {
            Input::Frame { bytes, .. } => {
                if let Ok(FromOrdinary::Put { record, .. }) = frame::decode(self.overlay, bytes) {
                    self.keep(&record);
                }
            }
            Input::PeerFrame { bytes, .. } => {
                if let Ok(Message::Place { record, .. }) = frame::decode(self.overlay, bytes) {
                    self.keep(&record);
                }
            }
            _ => {}
        }
        self.honest.handle_input(input, now);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.honest.handle_timeout(now);
    }

    fn poll_output(&mut self) -> Option<Output> {
        let output = self.honest.poll_output()?;
        Some(self.change(output))
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.honest.poll_timeout()
    }
}

impl SuperNodeMachine for Evil {
    fn leave(&mut self, now: Instant) {
        self.honest.leave(now);
    }

    fn set_credential(
        &mut self,
        certificate: Certificate,
        statement: MemberStatement,
        now: Instant,
    ) {
        self.honest.set_credential(certificate, statement, now);
    }
}

/// Puts one's own digest in the place of every SHA-256 fingerprint.
fn other_fingerprint(text: &str) -> String {
    let mut parts = text.split("sha-256 ");
    let mut changed = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part
            .find(|letter: char| !letter.is_ascii_hexdigit() && letter != ':')
            .unwrap_or(part.len());
        changed.push_str("sha-256 ");
        changed.push_str(&["66"; 32].join(":"));
        changed.push_str(&part[end..]);
    }
    changed
}

#[tokio::main]
async fn main() -> ExitCode {
    let _ = rustls::crypto::ring::default_provider().install_default();
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .init();
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [file, trick] = arguments.as_slice() else {
        eprintln!("evil FILE altered-record|other-record|old-record|offer|answer");
        return ExitCode::FAILURE;
    };
    let Some(trick) = Trick::named(trick) else {
        eprintln!("evil knows no trick `{trick}`");
        return ExitCode::FAILURE;
    };
    let section = match config::load(Path::new(file), std::env::vars(), &[]) {
        Ok(config) => config.super_node,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    let Some(section) = section else {
        eprintln!("{file} has no [super_node] section");
        return ExitCode::FAILURE;
    };
    let started = node::start_with(section, |config, now| Evil {
        overlay: config.anchor.overlay(),
        honest: SuperNode::new(config, now),
        trick,
        kept: BTreeMap::new(),
    });
    match started.await {
        Ok(mut running) => {
            running.ended().await;
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
