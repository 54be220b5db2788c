//! Trickle ICE (RFC 8840): candidates as SDP fragments in INFO requests.
//!
//! Every INFO repeats all candidates of its generation, and one is under way at a time, so neither order nor a lost
//! request matters. The receiver takes each candidate once.

use alloc::string::String;
use alloc::vec::Vec;

use machine::Instant;

use super::call::{Call, Phase};
use super::exchange::Purpose;
use super::{CallId, Candidate, Event, Output, UserAgent};
use crate::message::{Message, Name, Template};
use crate::sdp::Description;

pub(super) const FRAGMENT: &str = "application/trickle-ice-sdpfrag";
/// How many local candidates are sent in one generation.
const MAXIMUM: usize = 64;

impl UserAgent {
    /// Sends a local candidate to the peer, as soon as a dialog allows.
    pub fn candidate(&mut self, call: CallId, candidate: Candidate, now: Instant) {
        let Some(found) = self.calls.get_mut(&call) else {
            return;
        };
        let local = &mut found.candidates;
        if local
            .list
            .first()
            .is_some_and(|first| first.ufrag != candidate.ufrag)
        {
            local.list.clear();
            local.complete = false;
            for dialog in &mut found.dialogs {
                dialog.trickle.sent = 0;
                dialog.trickle.sent_end = false;
            }
        }
        let text = |text: &str| !text.is_empty() && !text.chars().any(char::is_control);
        if local.list.len() < MAXIMUM && text(&candidate.line) && text(&candidate.mid) {
            local.list.push(candidate);
        }
        self.trickle(call, now);
    }

    /// Says that no more local candidates come in this generation.
    pub fn end_of_candidates(&mut self, call: CallId, now: Instant) {
        if let Some(found) = self.calls.get_mut(&call) {
            found.candidates.complete = true;
            self.trickle(call, now);
        }
    }

    /// Sends what is new to every dialog that can take it.
    pub(super) fn trickle(&mut self, id: CallId, now: Instant) {
        let Some(call) = self.calls.get(&id) else {
            return;
        };
        // Candidates must not overtake the offer that they belong to.
        let unsent = call.renegotiation.as_ref().is_some_and(|one| !one.sent);
        let (count, end) = (call.candidates.list.len(), call.candidates.complete);
        if unsent || count == 0 && !end {
            return;
        }
        let ready = |at: usize| match call.phase {
            Phase::Calling => true,
            Phase::Alerting | Phase::Answered | Phase::Established => call.current == Some(at),
            Phase::Preparing | Phase::Verifying | Phase::Over => false,
        };
        let dialogs = call.dialogs.iter().enumerate();
        let dialogs = dialogs.filter(|(at, dialog)| {
            let trickle = &dialog.trickle;
            let news = trickle.sent < count || end && !trickle.sent_end;
            ready(*at) && news && trickle.supported && trickle.open && !trickle.busy
        });
        let dialogs: Vec<_> = dialogs.map(|(at, _)| at).collect();
        let fragment = fragment(call);
        for at in dialogs {
            if let Some(call) = self.calls.get_mut(&id) {
                call.dialogs[at].trickle.busy = true;
            }
            let purpose = Purpose::Info {
                dialog: at,
                sent: count,
                end,
            };
            self.send_inside(id, at, purpose, now, |composer| {
                let composer = composer
                    .header("Info-Package", "trickle-ice")
                    .header("Content-Disposition", "Info-Package");
                Template::new(composer, FRAGMENT, fragment.as_bytes().to_vec())
            });
        }
    }

    pub(super) fn info_concluded(
        &mut self,
        id: CallId,
        at: usize,
        status: u16,
        (sent, end): (usize, bool),
        now: Instant,
    ) {
        let Some(dialog) = self
            .calls
            .get_mut(&id)
            .and_then(|call| call.dialogs.get_mut(at))
        else {
            return;
        };
        let trickle = &mut dialog.trickle;
        trickle.busy = false;
        match status {
            200..300 => {
                trickle.sent = sent;
                trickle.sent_end = end;
                self.trickle(id, now);
            }
            // It was overtaken, or lost with its path: the next one repeats it.
            408 | 430 | 500 | 503 => {}
            _ => trickle.supported = false,
        }
    }

    /// Takes the peer's candidates out of an INFO; false if it holds none that can be read.
    pub(super) fn receive_candidates(&mut self, id: CallId, at: usize, message: &Message) -> bool {
        let Ok(text) = core::str::from_utf8(message.body()) else {
            return false;
        };
        let Ok(fragment) = Description::read_fragment(text) else {
            return false;
        };
        let Some(dialog) = self
            .calls
            .get_mut(&id)
            .and_then(|call| call.dialogs.get_mut(at))
        else {
            return false;
        };
        let mut candidates = Vec::new();
        let mut complete = fragment.session.complete;
        for section in &fragment.media {
            complete |= section.complete;
            let ufrag = match section.ufrag.as_str() {
                "" => &fragment.session.ufrag,
                ufrag => ufrag,
            };
            candidates.extend(section.candidates.iter().map(|line| Candidate {
                mid: section.mid.clone(),
                line: line.clone(),
                ufrag: ufrag.into(),
            }));
        }
        dialog.receive_candidates(candidates, complete);
        self.deliver_candidates(id);
        true
    }

    /// Hands the peer's candidates on, but not before the description that they belong to.
    pub(super) fn deliver_candidates(&mut self, id: CallId) {
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        let negotiating = call
            .renegotiation
            .as_ref()
            .is_some_and(|one| one.retry.is_none());
        let held = match call.phase {
            Phase::Alerting | Phase::Answered | Phase::Established => {
                negotiating || call.verification.is_some()
            }
            Phase::Preparing | Phase::Calling | Phase::Verifying | Phase::Over => true,
        };
        let Some(dialog) = call.dialog().filter(|_| !held) else {
            return;
        };
        let trickle = &mut dialog.trickle;
        let candidates = trickle.received[trickle.delivered..].to_vec();
        let complete = trickle.complete;
        if candidates.is_empty() && (!complete || trickle.delivered_end) {
            return;
        }
        trickle.delivered = trickle.received.len();
        trickle.delivered_end = complete;
        self.outbox.push(Output::Event(Event::Candidates {
            call: id,
            candidates,
            complete,
        }));
    }
}

/// Says whether an INFO is of the package that this user agent takes.
pub(super) fn is_trickle(message: &Message) -> bool {
    let package = message.field(Name::InfoPackage).unwrap_or("");
    let package = package.split(';').next().unwrap_or("");
    crate::header::trim(package).eq_ignore_ascii_case("trickle-ice")
}

/// Writes the local candidates as an SDP fragment (RFC 8840, section 9).
fn fragment(call: &Call) -> String {
    let description = Description::read(&call.description).unwrap_or_default();
    let candidates = &call.candidates;
    let mut text = String::new();
    let mut line = |parts: &[&str]| {
        for part in parts {
            text.push_str(part);
        }
        text.push_str("\r\n");
    };
    let ufrag = candidates
        .list
        .first()
        .map_or("", |first| first.ufrag.as_str());
    let sections = || core::iter::once(&description.session).chain(&description.media);
    let ufrag = match ufrag {
        "" => sections()
            .map(|one| one.ufrag.as_str())
            .find(|one| !one.is_empty())
            .unwrap_or(""),
        ufrag => ufrag,
    };
    line(&["a=ice-ufrag:", ufrag]);
    if let Some(section) = sections().find(|one| one.ufrag == ufrag && !one.password.is_empty()) {
        line(&["a=ice-pwd:", &section.password]);
    }
    let mut mids: Vec<&str> = Vec::new();
    for candidate in &candidates.list {
        if !mids.contains(&candidate.mid.as_str()) {
            mids.push(&candidate.mid);
        }
    }
    if mids.is_empty() {
        mids.extend(description.media.first().map(|one| one.mid.as_str()));
    }
    for mid in mids {
        let section = description.media.iter().find(|one| one.mid == mid);
        line(&[
            "m=",
            section.map_or("audio", |one| one.kind.as_str()),
            " 9 RTP/AVP 0",
        ]);
        line(&["a=mid:", mid]);
        for candidate in candidates.list.iter().filter(|one| one.mid == mid) {
            line(&[
                "a=",
                candidate.line.strip_prefix("a=").unwrap_or(&candidate.line),
            ]);
        }
        if candidates.complete {
            line(&["a=end-of-candidates"]);
        }
    }
    text
}
