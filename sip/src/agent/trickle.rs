//! Trickle ICE (RFC 8840): candidates as SDP fragments in INFO requests.
//!
//! Every INFO repeats all candidates of its generation, and one is under way at a time, so neither order nor a lost
//! request matters. The receiver takes each candidate once.

use alloc::string::String;
use alloc::vec::Vec;

use super::call::{Call, Phase};
use super::dialog::Sent;
use super::exchange::Purpose;
use super::line::Line;
use super::{Candidate, Event};
use crate::message::{Message, Name};
use crate::sdp::Description;
use crate::text::fill;

pub(super) const FRAGMENT: &str = "application/trickle-ice-sdpfrag";
const HEADERS: &str = "Info-Package: trickle-ice\r\nContent-Disposition: Info-Package\r\n\
    Content-Type: application/trickle-ice-sdpfrag\r\n";
/// How many local candidates are sent in one generation.
const MAXIMUM: usize = 64;

impl Call {
    /// Sends a local candidate to the peer, as soon as a dialog allows.
    pub(super) fn candidate(&mut self, candidate: Candidate, line: &mut Line) {
        let first = self.candidates.first();
        if first.is_some_and(|first| first.ufrag != candidate.ufrag) {
            self.candidates.clear();
            self.complete = false;
            for dialog in &mut self.dialogs {
                dialog.trickle.sent = Sent::default();
            }
        }
        let is_line = |text: &str| !text.is_empty() && !text.bytes().any(|b| b.is_ascii_control());
        if self.candidates.len() < MAXIMUM && is_line(&candidate.line) && is_line(&candidate.mid) {
            self.candidates.push(candidate);
        }
        self.trickle(line);
    }

    /// No more local candidates come in this generation.
    pub(super) fn end_of_candidates(&mut self, line: &mut Line) {
        self.complete = true;
        self.trickle(line);
    }

    /// Sends what is new to every dialog that can take it.
    pub(super) fn trickle(&mut self, line: &mut Line) {
        // Candidates must not overtake the offer that they belong to.
        let unsent = self.renegotiation.as_ref().is_some_and(|one| !one.sent);
        let have = Sent {
            count: self.candidates.len(),
            end: self.complete,
        };
        if unsent || have == Sent::default() {
            return;
        }
        for at in 0..self.dialogs.len() {
            let ready = match self.phase {
                Phase::Calling => true,
                Phase::Alerting | Phase::Answered | Phase::Established => self.current == Some(at),
                Phase::Preparing | Phase::Verifying | Phase::Over => false,
            };
            let trickle = &mut self.dialogs[at].trickle;
            let news = trickle.sent.count < have.count || have.end && !trickle.sent.end;
            let can = trickle.supported && trickle.open && trickle.under_way.is_none();
            if ready && news && can {
                trickle.under_way = Some(have);
                let fragment = self.fragment();
                self.send_inside(Purpose::Info, at, (HEADERS, &fragment), line);
            }
        }
    }

    pub(super) fn info_concluded(&mut self, at: usize, status: u16, line: &mut Line) {
        let trickle = &mut self.dialogs[at].trickle;
        let under_way = trickle.under_way.take().unwrap_or_default();
        match status {
            200..300 => {
                trickle.sent = under_way;
                self.trickle(line);
            }
            // It was overtaken, or lost with its path: the next one repeats it.
            408 | 430 | 500 | 503 => {}
            _ => trickle.supported = false,
        }
    }

    /// Takes the peer's candidates out of an INFO; false if it holds none that can be read.
    pub(super) fn receive_candidates(
        &mut self,
        at: usize,
        message: &Message,
        line: &mut Line,
    ) -> bool {
        let Ok(text) = core::str::from_utf8(message.body()) else {
            return false;
        };
        let Ok(fragment) = Description::read_fragment(text) else {
            return false;
        };
        let dialog = &mut self.dialogs[at];
        for section in fragment.media() {
            let ufrag = match section.ufrag {
                "" => fragment.session().ufrag,
                ufrag => ufrag,
            };
            for line in &section.candidates {
                dialog.receive_candidate(Candidate {
                    mid: section.mid.into(),
                    line: (*line).into(),
                    ufrag: ufrag.into(),
                });
            }
        }
        let mut sections = fragment.sections().iter();
        dialog.trickle.complete |= sections.any(|section| section.complete);
        self.deliver_candidates(line);
        true
    }

    /// Hands the peer's candidates on, but not before the description that they belong to.
    pub(super) fn deliver_candidates(&mut self, line: &mut Line) {
        let held = match self.phase {
            Phase::Alerting | Phase::Answered | Phase::Established => {
                self.offers() || self.verification.is_some()
            }
            Phase::Preparing | Phase::Calling | Phase::Verifying | Phase::Over => true,
        };
        let call = self.id;
        let Some(dialog) = self.dialog().filter(|_| !held) else {
            return;
        };
        let trickle = &mut dialog.trickle;
        let have = Sent {
            count: trickle.received.len(),
            end: trickle.complete,
        };
        let known = trickle.delivered;
        if have.count > known.count || have.end && !known.end {
            trickle.delivered = have;
            line.tell(Event::Candidates {
                call,
                candidates: trickle.received[known.count..].to_vec(),
                complete: have.end,
            });
        }
    }

    /// Writes the local candidates as an SDP fragment (RFC 8840, section 9).
    fn fragment(&self) -> String {
        let description = Description::read(&self.description).unwrap_or_default();
        let sections = description.sections();
        let mut ufrags = sections.iter().map(|one| one.ufrag);
        let ufrag = match self.candidates.first() {
            Some(first) if !first.ufrag.is_empty() => &*first.ufrag,
            _ => ufrags.find(|ufrag| !ufrag.is_empty()).unwrap_or(""),
        };
        let mut text = String::new();
        fill(&mut text, "a=ice-ufrag:%\r\n", &[ufrag]);
        if let Some(one) = sections
            .iter()
            .find(|one| one.ufrag == ufrag && !one.password.is_empty())
        {
            fill(&mut text, "a=ice-pwd:%\r\n", &[one.password]);
        }
        let mut mids: Vec<&str> = Vec::new();
        for candidate in &self.candidates {
            if !mids.contains(&&*candidate.mid) {
                mids.push(&candidate.mid);
            }
        }
        if mids.is_empty() {
            mids.extend(description.media().first().map(|one| one.mid));
        }
        for mid in mids {
            let section = description.media().iter().find(|one| one.mid == mid);
            let kind = section.map_or("audio", |one| one.kind);
            fill(&mut text, "m=% 9 RTP/AVP 0\r\na=mid:%\r\n", &[kind, mid]);
            for candidate in self.candidates.iter().filter(|one| one.mid == mid) {
                let line = candidate.line.strip_prefix("a=").unwrap_or(&candidate.line);
                fill(&mut text, "a=%\r\n", &[line]);
            }
            if self.complete {
                text.push_str("a=end-of-candidates\r\n");
            }
        }
        text
    }
}

/// Says whether an INFO is of the package that this user agent takes.
pub(super) fn is_trickle(message: &Message) -> bool {
    message
        .main(Name::InfoPackage)
        .eq_ignore_ascii_case("trickle-ice")
}
