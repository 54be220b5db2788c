//! Signatures that are being made or checked by the driver.

use alloc::string::String;

use credential::{Job, Sign, Signed, Verified};

use super::call::{Call, Phase, RING_LIMIT};
use super::line::Line;
use super::reply::Reply;
use super::{Caller, EndReason, Event, Misbehaviour, Output};
use crate::identity::{self, Claims, IdentityError, Vouched};
use crate::message::Message;
use crate::sdp::Description;

/// What is checked of an INVITE's Identity.
#[derive(Debug)]
pub(super) struct Verification {
    vouched: Vouched,
    /// The signatures that are being checked: that of his certificate, and his own.
    jobs: [Job; 2],
}

/// A signature that was checked: no job has this number.
const DONE: Job = Job(0);

impl Call {
    /// Has the Identity of an offer signed. False if the offer can't be: a section has no fingerprint.
    pub(super) fn sign(&mut self, sdp: &str, line: &mut Line) -> bool {
        let Ok(description) = Description::read(sdp) else {
            return false;
        };
        let fingerprints = description.fingerprints();
        if description.check(&fingerprints).is_err() {
            return false;
        }
        let job = line.job();
        let claims = Claims {
            orig: line.own.clone(),
            dest: self.peer.clone(),
            iat: line.wall.at(line.now) / 1000,
            request: identity::request_name(&self.call_id, job.0),
            fingerprints,
            name: line.account.name.clone(),
        };
        let input = identity::signing_input(&claims, &line.account.certificate);
        let message = input.as_bytes().to_vec();
        self.signing = Some((job, input));
        line.outbox.push(Output::Sign(Sign { job, message }));
        true
    }

    /// A signature was made; nothing is done if it is not the one awaited.
    pub(super) fn signed(&mut self, signed: &Signed, line: &mut Line) {
        let Some((_, input)) = self.signing.take_if(|(job, _)| *job == signed.job) else {
            return;
        };
        let identity = identity::write(&input, &signed.signature, &line.own);
        match self.phase {
            Phase::Preparing => {
                self.identity = identity;
                self.start(line);
            }
            Phase::Established => self.reinvite(&identity, line),
            Phase::Calling | Phase::Verifying | Phase::Alerting | Phase::Answered | Phase::Over => {
            }
        }
    }

    /// Checks all that is cheap of an INVITE's Identity and has its signatures verified.
    pub(super) fn prove(
        &mut self,
        request: &Message,
        offer: &Description<'_>,
        line: &mut Line,
    ) -> Result<(), IdentityError> {
        let wall = line.wall.at(line.now);
        let (vouched, checks) =
            identity::check(request, offer, &line.anchor, &line.revocations, wall)?;
        if vouched.claims.orig != self.peer || vouched.claims.dest != line.own {
            return Err(IdentityError::Mismatch);
        }
        let jobs = [line.job(), line.job()];
        self.verification = Some(Verification { vouched, jobs });
        for (check, job) in checks.into_iter().zip(jobs) {
            line.outbox.push(Output::Verify(check.with(job)));
        }
        Ok(())
    }

    /// A signature was checked; nothing is done if it is none of those awaited.
    pub(super) fn verified(&mut self, verified: &Verified, line: &mut Line) {
        let Some(Verification { jobs, .. }) = &mut self.verification else {
            return;
        };
        let Some(place) = jobs.iter().position(|job| *job == verified.job) else {
            return;
        };
        if !verified.valid {
            self.verification = None;
            let errors = [
                IdentityError::Credential(credential::Refusal::Signature),
                IdentityError::Invalid,
            ];
            self.unproved(errors[place], line);
            return;
        }
        jobs[place] = DONE;
        if *jobs == [DONE; 2]
            && let Some(Verification { vouched, .. }) = self.verification.take()
        {
            if line.replays.admit(&vouched.signed, line.now) {
                self.proved(vouched, line);
            } else {
                self.unproved(IdentityError::Replayed, line);
            }
        }
    }

    /// Refuses an INVITE whose Identity does not hold.
    pub(super) fn unproved(&mut self, error: IdentityError, line: &mut Line) {
        let (status, sentence) = error.answer();
        let flow = self.arrivals.last().map(|one| one.flow);
        self.refuse(
            Reply::warning(status, sentence),
            EndReason::IdentityRefused,
            true,
            line,
        );
        if let Some(flow) = flow {
            let how = Misbehaviour::BadIdentity;
            line.tell(Event::Misbehaved { flow, how });
        }
    }

    /// An INVITE is proved: now, and not before, the user hears of it.
    fn proved(&mut self, vouched: Vouched, line: &mut Line) {
        let (Some(at), Some(invitation)) = (self.current, &mut self.invitation) else {
            return;
        };
        let (call, dialog) = (self.id, &mut self.dialogs[at]);
        let offer: String = core::mem::take(&mut invitation.offer);
        let (claims, instance) = (vouched.claims, vouched.instance);
        let bridged = vouched.bridged;
        dialog.fingerprints = claims.fingerprints;
        if self.phase != Phase::Verifying {
            line.tell(Event::Offered { call, offer });
            self.deliver_candidates(line);
            return;
        }
        // Requests in the dialog go to the device that signed, whatever the Contact says.
        if dialog.instance.is_some_and(|claimed| claimed != instance) {
            self.unproved(IdentityError::Mismatch, line);
            return;
        }
        dialog.instance = Some(instance);
        self.phase = Phase::Alerting;
        self.deadline = line.now + RING_LIMIT;
        let caller = Caller {
            uri: claims.orig,
            name: claims.name,
            instance,
            bridged,
        };
        line.tell(Event::Incoming {
            call,
            caller,
            offer,
        });
    }
}
