use std::collections::VecDeque;
use std::path::PathBuf;

use credential::{Certificate, MemberStatement, OverlayId};
use machine::{Instant, Machine};
use overlay::association::{FromOrdinary, FromSuperNode};
use overlay::peer::Message;
use overlay::{SignedRecord, frame};
use p2psip::{SuperNode, SuperNodeInput as Input, SuperNodeOutput as Output};
use relay_node::SuperNodeMachine;

/// What the super node does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lie {
    /// Nothing.
    None,
    /// Changes what a location record says.
    AlteredRecord,
    /// Answers with another user's record, which is valid.
    OthersRecord,
    /// Answers with the first version of a record that it ever saw, whatever came later.
    OldRecord,
    /// Puts another DTLS fingerprint into offers.
    Offer,
    /// Puts another DTLS fingerprint into answers.
    Answer,
    /// Proves itself with another super node's certificate, which is kept beside the file of the lie.
    Certificate,
    /// Sends what is no message at all, and one that is too large, before everything that it has to say.
    Garbage,
}

impl Lie {
    fn named(word: &str) -> Option<Self> {
        Some(match word {
            "none" => Self::None,
            "altered-record" => Self::AlteredRecord,
            "others-record" => Self::OthersRecord,
            "old-record" => Self::OldRecord,
            "offer" => Self::Offer,
            "answer" => Self::Answer,
            "certificate" => Self::Certificate,
            "garbage" => Self::Garbage,
            _ => return None,
        })
    }
}

/// The machine of such a super node.
pub(crate) struct Evil {
    honest: SuperNode,
    overlay: OverlayId,
    /// The file that says which lie it tells.
    file: PathBuf,
    /// Every version of every record that came by, in this order.
    seen: Vec<SignedRecord>,
    ready: VecDeque<Output>,
}

impl Evil {
    pub(crate) fn new(honest: SuperNode, overlay: OverlayId, file: PathBuf) -> Self {
        Self {
            honest,
            overlay,
            file,
            seen: Vec::new(),
            ready: VecDeque::new(),
        }
    }

    fn lie(&self) -> Lie {
        let text = std::fs::read_to_string(&self.file);
        let text = text.unwrap_or_else(|error| panic!("{}: {error}", self.file.display()));
        Lie::named(text.trim()).unwrap_or_else(|| panic!("there is no lie `{text}`"))
    }

    fn keep(&mut self, record: SignedRecord) {
        if !record.control.removed && !self.seen.contains(&record) {
            self.seen.push(record);
        }
    }

    fn listen(&mut self, input: &Input) {
        match input {
            Input::Frame { bytes, .. } => {
                if let Ok(FromOrdinary::Put { record, .. }) = frame::decode(self.overlay, bytes) {
                    self.keep(record);
                }
            }
            Input::PeerFrame { bytes, .. } => {
                if let Ok(Message::Place { record, .. }) = frame::decode(self.overlay, bytes) {
                    self.keep(record);
                }
            }
            _ => {}
        }
    }

    fn bend(&mut self, output: Output) {
        let lie = self.lie();
        let output = match output {
            Output::Frame { link, bytes } => {
                if lie == Lie::Garbage {
                    let half = bytes[..bytes.len() / 2].to_vec();
                    let garbage = [vec![1, 2, 3], vec![0xff; 40_000], half];
                    let garbage = garbage.map(|bytes| Output::Frame { link, bytes });
                    self.ready.extend(garbage);
                    let text = "INVITE \u{1f4a3}\r\n\r\n".to_owned();
                    self.ready.push_back(Output::Text { link, text });
                }
                let bytes = self.bend_frame(lie, bytes);
                Output::Frame { link, bytes }
            }
            // Only on the last hop: two of them on one path would undo each other's change.
            Output::Text { link, text } => {
                let text = bend_sip(lie, text);
                Output::Text { link, text }
            }
            other => other,
        };
        self.ready.push_back(output);
    }

    fn bend_frame(&mut self, lie: Lie, bytes: Vec<u8>) -> Vec<u8> {
        let message = match frame::decode(self.overlay, &bytes) {
            Ok(FromSuperNode::Records {
                request,
                records,
                end,
            }) => {
                records.iter().for_each(|record| self.keep(record.clone()));
                let records = records.into_iter();
                let records = records.filter_map(|record| self.bend_record(lie, record));
                FromSuperNode::Records {
                    request,
                    records: records.collect(),
                    end,
                }
            }
            Ok(FromSuperNode::Challenge {
                nonce, signature, ..
            }) if lie == Lie::Certificate => {
                let file = self.file.with_extension("certificate");
                let certificate = std::fs::read(&file);
                FromSuperNode::Challenge {
                    nonce,
                    certificate: certificate
                        .unwrap_or_else(|error| panic!("{}: {error}", file.display())),
                    signature,
                }
            }
            _ => return bytes,
        };
        frame::encode(self.overlay, &message)
    }

    /// A lie in the place of a record; who can't lie says nothing.
    fn bend_record(&self, lie: Lie, mut record: SignedRecord) -> Option<SignedRecord> {
        let mut seen = self.seen.iter();
        match lie {
            Lie::AlteredRecord => {
                // One digit of the XML: the record stays well-formed, only nobody has signed it.
                let mut bytes = record.body.iter_mut().rev();
                let digit = bytes.find(|byte| byte.is_ascii_digit())?;
                *digit = if *digit == b'1' { b'2' } else { b'1' };
                Some(record)
            }
            Lie::OthersRecord => seen
                .find(|seen| seen.control.owner != record.control.owner)
                .cloned(),
            Lie::OldRecord => seen
                .find(|seen| seen.control.is_same_slot(&record.control))
                .cloned(),
            Lie::None | Lie::Offer | Lie::Answer | Lie::Certificate | Lie::Garbage => Some(record),
        }
    }
}

impl Machine for Evil {
    type Input = Input;
    type Output = Output;

    fn handle_input(&mut self, input: Input, now: Instant) {
        self.listen(&input);
        self.honest.handle_input(input, now);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.honest.handle_timeout(now);
    }

    fn poll_output(&mut self) -> Option<Output> {
        while let Some(output) = self.honest.poll_output() {
            self.bend(output);
        }
        self.ready.pop_front()
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

    fn core(&mut self) -> &mut SuperNode {
        &mut self.honest
    }
}

fn bend_sip(lie: Lie, text: String) -> String {
    let bent = match lie {
        Lie::Offer => text.starts_with("INVITE "),
        Lie::Answer => text.starts_with("SIP/2.0 "),
        _ => false,
    };
    if bent { other_fingerprint(&text) } else { text }
}

/// The same message with one digit of the first DTLS fingerprint changed, so that no length changes.
fn other_fingerprint(text: &str) -> String {
    let mark = "a=fingerprint:sha-256 ";
    let Some(at) = text.to_ascii_lowercase().find(mark) else {
        return text.to_owned();
    };
    let at = at + mark.len();
    let digit = if text[at..].starts_with('A') {
        "B"
    } else {
        "A"
    };
    format!("{}{digit}{}", &text[..at], &text[at + 1..])
}
