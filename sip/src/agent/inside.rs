//! Requests that this side sends in a dialog: re-INVITE, UPDATE and BYE.

use alloc::string::String;
use core::time::Duration;

use super::call::{Call, NEVER, Phase, Renegotiation, SETTLE};
use super::exchange::Purpose;
use super::line::Line;
use super::outgoing::offering;
use super::{EndReason, Event};
use crate::message::Message;
use crate::text::filled;

/// The Reason of a BYE after an answer whose fingerprint was not the signed one.
pub(super) const FOREIGN_MEDIA: &str = "SIP;cause=488;text=\"Fingerprint not signed\"";

impl Call {
    /// Offers to renegotiate an established call (re-INVITE with a fresh Identity).
    pub(super) fn renegotiate(&mut self, sdp: String, line: &mut Line) {
        if self.phase != Phase::Established || self.renegotiation.is_some() {
            return;
        }
        // No INVITE while another is in progress in either direction (RFC 3261, section 14.1).
        let busy = self.invitation.as_ref().is_some_and(|one| one.is_open());
        let retry = line.now + self.glare_delay(line);
        self.renegotiation = Some(Renegotiation {
            sdp: sdp.clone(),
            sent: false,
            retry: if busy { retry } else { NEVER },
        });
        if !busy && !self.sign(&sdp, line) {
            self.renegotiation_failed(false, line);
        }
    }

    /// Sends the re-INVITE once it is signed.
    pub(super) fn reinvite(&mut self, identity: &str, line: &mut Line) {
        let (Some(at), Some(renegotiation)) = (self.current, &mut self.renegotiation) else {
            return;
        };
        if renegotiation.retry < NEVER || renegotiation.sent {
            return;
        }
        renegotiation.sent = true;
        let sdp = renegotiation.sdp.clone();
        self.description = sdp.clone();
        let headers = offering(identity, line);
        self.send_inside(Purpose::Reinvite, at, (&headers, &sdp), line);
        self.trickle(line);
    }

    pub(super) fn reinvite_concluded(
        &mut self,
        at: usize,
        cseq: u32,
        (status, message): (u16, Option<&Message>),
        line: &mut Line,
    ) {
        let answer = message.filter(|_| status < 300);
        if answer.is_some() {
            self.acknowledge_answer(at, cseq, line);
        }
        let retry = line.now + self.glare_delay(line);
        let Some(renegotiation) = self.renegotiation.as_mut().filter(|one| one.sent) else {
            return;
        };
        if let Some(answer) = answer {
            self.renegotiation = None;
            self.dialogs[at].refresh(answer);
            if let Some(answer) = self.sound_answer(at, answer) {
                let call = self.id;
                line.tell(Event::Renegotiated { call, answer });
                self.deliver_candidates(line);
            } else {
                self.bye(FOREIGN_MEDIA, line);
                self.end(EndReason::MediaRefused, true, line);
            }
        } else if status == 491 {
            renegotiation.retry = retry;
        } else {
            self.renegotiation_failed(false, line);
            // The other side knows nothing of the call any more (RFC 3261, section 12.2.1.2).
            if status == 481 {
                self.end(EndReason::Network, true, line);
            }
        }
    }

    pub(super) fn glare_timeout(&mut self, line: &mut Line) {
        let retry = self.renegotiation.as_ref().map_or(NEVER, |one| one.retry);
        if retry <= line.now {
            self.renegotiation_failed(true, line);
        }
    }

    fn renegotiation_failed(&mut self, glare: bool, line: &mut Line) {
        self.renegotiation = None;
        let call = self.id;
        line.tell(Event::NotRenegotiated { call, glare });
        self.deliver_candidates(line);
    }

    /// How long to wait after glare: 2.1 to 4 s for the owner of the Call-ID, 0 to 2 s for the other, in steps of
    /// 10 ms (RFC 3261, section 14.1).
    fn glare_delay(&self, line: &mut Line) -> Duration {
        let (least, steps) = if self.outgoing { (2100, 190) } else { (0, 200) };
        Duration::from_millis(least + 10 * u64::from(line.rng.below(steps + 1)))
    }

    /// The super nodes of this user agent changed: the peer is told soon, so that it need not look it up.
    pub(super) fn flows_changed(&mut self, line: &mut Line) {
        if self.phase == Phase::Established {
            self.refresh = line.now + SETTLE;
        }
    }

    /// Tells the peer this user agent's Contact (a target refresh by UPDATE without an offer).
    pub(super) fn refresh(&mut self, line: &mut Line) {
        self.refresh = NEVER;
        if self.phase == Phase::Established
            && let Some(at) = self.current
            && self.dialogs[at].updates
            && !line.flows.is_empty()
        {
            let header = filled("Contact: %\r\n", &[&line.contact()]);
            self.send_inside(Purpose::Update, at, (&header, ""), line);
        }
    }

    /// Hangs up the call's dialog.
    pub(super) fn bye(&mut self, reason: &str, line: &mut Line) {
        if let Some(at) = self.current {
            self.bye_dialog(at, reason, line);
        }
    }

    /// Ends a dialog.
    pub(super) fn bye_dialog(&mut self, at: usize, reason: &str, line: &mut Line) {
        let header = match reason {
            "" => String::new(),
            reason => filled("Reason: %\r\n", &[reason]),
        };
        self.send_inside(Purpose::Bye, at, (&header, ""), line);
    }
}
