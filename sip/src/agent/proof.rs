//! Signatures that are being made or checked by the driver.

use alloc::string::String;
use alloc::vec::Vec;

use credential::{Job, Sign, Signed, Verified};
use machine::Instant;

use super::call::{Phase, Reply, Verification};
use super::{CallId, Caller, EndReason, Event, Misbehaviour, Output, UserAgent};
use crate::identity::{self, Claims, IdentityError, Presented};
use crate::message::Message;
use crate::sdp::Description;

/// What an answer of the driver is for.
#[derive(Debug)]
pub(super) enum Proof {
    /// The Identity of an offer.
    Own { call: CallId, input: String },
    /// One of the two signatures behind a peer's Identity: that of his certificate, or his own.
    Peer {
        call: CallId,
        cseq: u32,
        issuer: bool,
    },
}

impl Proof {
    pub(super) fn call(&self) -> CallId {
        match self {
            Self::Own { call, .. } | Self::Peer { call, .. } => *call,
        }
    }
}

impl UserAgent {
    /// Has the Identity of an offer signed. False if the offer can't be: a section has no fingerprint.
    pub(super) fn sign(&mut self, id: CallId, sdp: &str, now: Instant) -> bool {
        let Some(call) = self.calls.get(&id) else {
            return false;
        };
        let Ok(description) = Description::read(sdp) else {
            return false;
        };
        let fingerprints = description.fingerprints();
        if description.check(&fingerprints).is_err() {
            return false;
        }
        let claims = Claims {
            orig: self.own.clone(),
            dest: call.peer.clone(),
            iat: self.wall.at(now) / 1000,
            request: identity::request_name(&call.call_id, self.last_job),
            fingerprints,
            name: self.account.name.clone(),
        };
        let input = identity::signing_input(&claims, &self.account.certificate);
        let message = input.as_bytes().to_vec();
        let job = self.job(Proof::Own { call: id, input });
        self.outbox.push(Output::Sign(Sign { job, message }));
        true
    }

    pub(super) fn signed(&mut self, signed: Signed, now: Instant) {
        let Some(Proof::Own { call, input }) = self.proofs.remove(&signed.job) else {
            return;
        };
        let identity = identity::write(&input, &signed.signature, &self.own);
        let Some(found) = self.calls.get_mut(&call) else {
            return;
        };
        match found.phase {
            Phase::Preparing => {
                found.identity = Some(identity);
                self.start(call, now);
            }
            Phase::Established => self.reinvite(call, &identity, now),
            Phase::Calling | Phase::Verifying | Phase::Alerting | Phase::Answered | Phase::Over => {
            }
        }
    }

    /// Checks all that is cheap of an INVITE's Identity and has its signatures verified.
    pub(super) fn prove(
        &mut self,
        id: CallId,
        request: &Message,
        now: Instant,
    ) -> Result<(), IdentityError> {
        let sdp = core::str::from_utf8(request.body()).map_err(|_| IdentityError::Mismatch)?;
        let description = Description::read(sdp).map_err(|_| IdentityError::Mismatch)?;
        let wall = self.wall.at(now);
        let (presented, checks) =
            Presented::check(request, &description, &self.anchor, &self.revocations, wall)?;
        let call = self.calls.get_mut(&id).ok_or(IdentityError::Mismatch)?;
        if presented.claims.orig != call.peer || presented.claims.dest != self.own {
            return Err(IdentityError::Mismatch);
        }
        call.verification = Some(Verification {
            presented,
            remaining: 2,
        });
        let cseq = request.cseq().map_or(0, |cseq| cseq.number);
        for (check, issuer) in checks.into_iter().zip([true, false]) {
            let job = self.job(Proof::Peer {
                call: id,
                cseq,
                issuer,
            });
            self.outbox.push(Output::Verify(check.with(job)));
        }
        Ok(())
    }

    pub(super) fn verified(&mut self, verified: Verified, now: Instant) {
        let Some(Proof::Peer { call, cseq, issuer }) = self.proofs.remove(&verified.job) else {
            return;
        };
        let Some(found) = self.calls.get_mut(&call) else {
            return;
        };
        let current = found
            .invitation
            .as_ref()
            .is_some_and(|one| one.cseq == cseq);
        let Some(verification) = found.verification.as_mut().filter(|_| current) else {
            return;
        };
        if !verified.valid {
            found.verification = None;
            let error = if issuer {
                IdentityError::Credential(credential::Refusal::Signature)
            } else {
                IdentityError::Invalid
            };
            self.unproved(call, error, now);
            return;
        }
        verification.remaining -= 1;
        if verification.remaining > 0 {
            return;
        }
        let Some(Verification { presented, .. }) = found.verification.take() else {
            return;
        };
        if self.replays.admit(presented.signed(), now) {
            self.proved(call, presented, now);
        } else {
            self.unproved(call, IdentityError::Replayed, now);
        }
    }

    /// Refuses an INVITE whose Identity does not hold.
    pub(super) fn unproved(&mut self, id: CallId, error: IdentityError, now: Instant) {
        let (status, sentence) = error.answer();
        let reply = Reply::new(status).warning(sentence);
        let flow = self.invitation_flow(id);
        self.refuse(id, &reply, EndReason::IdentityRefused, true, now);
        if let Some(flow) = flow {
            let how = Misbehaviour::BadIdentity;
            self.outbox
                .push(Output::Event(Event::Misbehaved { flow, how }));
        }
    }

    /// An INVITE is proved: now, and not before, the user hears of it.
    fn proved(&mut self, id: CallId, presented: Presented, now: Instant) {
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        let Some(invitation) = call.invitation.as_ref() else {
            return;
        };
        let offer: Vec<u8> = invitation.request.body().to_vec();
        let Ok(offer) = String::from_utf8(offer) else {
            return;
        };
        let caller = presented.certificate.user().map(|(_, instance)| instance);
        let first = call.phase == Phase::Verifying;
        let Some(dialog) = call.dialog() else { return };
        dialog.fingerprints = presented.claims.fingerprints;
        if !first {
            self.outbox
                .push(Output::Event(Event::Offered { call: id, offer }));
            self.deliver_candidates(id);
            return;
        }
        let Some(instance) = caller else { return };
        // Requests in the dialog go to the device that signed, whatever the Contact says.
        if dialog.instance.is_some_and(|claimed| claimed != instance) {
            self.unproved(id, IdentityError::Mismatch, now);
            return;
        }
        dialog.instance = Some(instance);
        call.phase = Phase::Alerting;
        call.deadline = Some(now + super::call::RING_LIMIT);
        let caller = Caller {
            uri: presented.claims.orig,
            name: presented.claims.name,
            instance,
        };
        self.outbox.push(Output::Event(Event::Incoming {
            call: id,
            caller,
            offer,
        }));
    }

    fn job(&mut self, proof: Proof) -> Job {
        self.last_job += 1;
        let job = Job(self.last_job);
        self.proofs.insert(job, proof);
        job
    }
}
