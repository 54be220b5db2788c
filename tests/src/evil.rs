//! A super node that lies: the real machine, with what goes in and out bent as a test wishes.
//!
//! It is the only super node of its network, so that nobody else's truth comes to the victim's help.

use credential::{Certificate, MemberStatement, OverlayId};
use machine::{Instant, Machine};
use overlay::SignedRecord;
use overlay::association::{FromOrdinary, FromSuperNode};
use p2psip::{SuperNode, SuperNodeInput as Input, SuperNodeOutput as Output};
use relay_node::SuperNodeMachine;
use std::collections::VecDeque;
use std::path::PathBuf;

/// What the super node does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lie {
    /// Nothing.
    None,
    /// Changes what a location record says.
    AlteredRecord,
    /// Answers with another user's record, which is valid.
    OthersRecord,
    /// Answers with the first version of the record that it ever saw.
    OldRecord,
    /// Puts another DTLS fingerprint into offers.
    Offer,
    /// Puts another DTLS fingerprint into answers.
    Answer,
    /// Sends what is no message at all, and one that is too large, before everything that it has to say.
    Garbage,
}

impl Lie {
    const ALL: [(Self, &'static str); 7] = [
        (Self::None, "none"),
        (Self::AlteredRecord, "altered-record"),
        (Self::OthersRecord, "others-record"),
        (Self::OldRecord, "old-record"),
        (Self::Offer, "offer"),
        (Self::Answer, "answer"),
        (Self::Garbage, "garbage"),
    ];

    /// The word that stands for it in the file of wishes.
    pub fn word(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|(lie, _)| *lie == self)
            .map_or("none", |(_, word)| word)
    }

    fn read(word: &str) -> Self {
        Self::ALL
            .iter()
            .find(|(_, known)| *known == word.trim())
            .map_or(Self::None, |(lie, _)| *lie)
    }
}

/// The machine of such a super node. Which lie it tells stands in a file, so that a test can change it.
#[derive(Debug)]
pub struct Evil {
    honest: SuperNode,
    overlay: OverlayId,
    wish: PathBuf,
    seen: Vec<SignedRecord>,
    ready: VecDeque<Output>,
}

impl Evil {
    /// Wraps the real machine.
    pub fn new(honest: SuperNode, overlay: OverlayId, wish: PathBuf) -> Self {
        Self {
            honest,
            overlay,
            wish,
            seen: Vec::new(),
            ready: VecDeque::new(),
        }
    }

    fn lie(&self) -> Lie {
        Lie::read(&std::fs::read_to_string(&self.wish).unwrap_or_default())
    }

    fn bend_input(&mut self, input: Input) -> Input {
        match input {
            Input::Frame { link, bytes } => {
                if let Ok(FromOrdinary::Put { record, .. }) =
                    overlay::frame::decode(self.overlay, &bytes)
                {
                    self.seen.push(record);
                }
                Input::Frame { link, bytes }
            }
            Input::Text { link, text }
                if self.lie() == Lie::Offer && text.starts_with("INVITE ") =>
            {
                Input::Text {
                    link,
                    text: other_fingerprint(&text),
                }
            }
            other => other,
        }
    }

    fn bend_output(&mut self, output: Output) {
        let lie = self.lie();
        let output = match output {
            Output::Frame { link, bytes } => {
                if lie == Lie::Garbage {
                    self.ready.push_back(Output::Frame {
                        link,
                        bytes: vec![1, 2, 3],
                    });
                    self.ready.push_back(Output::Frame {
                        link,
                        bytes: vec![0xff; 40_000],
                    });
                    self.ready.push_back(Output::Frame {
                        link,
                        bytes: bytes[..bytes.len() / 2].to_vec(),
                    });
                    self.ready.push_back(Output::Text {
                        link,
                        text: "INVITE \u{1f4a3}\r\n\r\n".to_owned(),
                    });
                }
                Output::Frame {
                    link,
                    bytes: self.bend_records(lie, bytes),
                }
            }
            Output::Text { link, text } if lie == Lie::Answer && text.starts_with("SIP/2.0 ") => {
                Output::Text {
                    link,
                    text: other_fingerprint(&text),
                }
            }
            other => other,
        };
        self.ready.push_back(output);
    }

    fn bend_records(&self, lie: Lie, bytes: Vec<u8>) -> Vec<u8> {
        let Ok(FromSuperNode::Records {
            request,
            records,
            end,
        }) = overlay::frame::decode(self.overlay, &bytes)
        else {
            return bytes;
        };
        let records = records
            .into_iter()
            .map(|record| self.bend_record(lie, record))
            .collect();
        overlay::frame::encode(
            self.overlay,
            &FromSuperNode::Records {
                request,
                records,
                end,
            },
        )
    }

    fn bend_record(&self, lie: Lie, mut record: SignedRecord) -> SignedRecord {
        match lie {
            Lie::AlteredRecord => {
                // One digit of the XML: the record stays well-formed, only nobody has signed it.
                if let Some(digit) = record
                    .body
                    .iter_mut()
                    .rev()
                    .find(|byte| byte.is_ascii_digit())
                {
                    *digit = if *digit == b'1' { b'2' } else { b'1' };
                }
                record
            }
            Lie::OthersRecord => {
                let other = self
                    .seen
                    .iter()
                    .find(|seen| seen.control.owner != record.control.owner);
                other.cloned().unwrap_or(record)
            }
            Lie::OldRecord => {
                let first = self
                    .seen
                    .iter()
                    .find(|seen| seen.control.is_same_slot(&record.control));
                first.cloned().unwrap_or(record)
            }
            Lie::None | Lie::Offer | Lie::Answer | Lie::Garbage => record,
        }
    }
}

impl Machine for Evil {
    type Input = Input;
    type Output = Output;

    fn handle_input(&mut self, input: Input, now: Instant) {
        let input = self.bend_input(input);
        self.honest.handle_input(input, now);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.honest.handle_timeout(now);
    }

    fn poll_output(&mut self) -> Option<Output> {
        while let Some(output) = self.honest.poll_output() {
            self.bend_output(output);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_fingerprint_has_the_same_length() {
        let sdp = "v=0\r\na=fingerprint:sha-256 A1:B2\r\n";
        assert_eq!(
            other_fingerprint(sdp),
            "v=0\r\na=fingerprint:sha-256 B1:B2\r\n"
        );
        assert_eq!(other_fingerprint("v=0\r\n"), "v=0\r\n");
    }

    #[test]
    fn every_lie_has_its_word() {
        for (lie, word) in Lie::ALL {
            assert_eq!(Lie::read(word), lie);
            assert_eq!(lie.word(), word);
        }
    }
}
