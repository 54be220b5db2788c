//! What goes between the two layers of a peer and its driver.

use alloc::string::String;
use alloc::vec::Vec;

use credential::Job;
use machine::{Instant, Machine, WallClock};
use overlay::{OrdinaryEvent, OrdinaryOutput};
use sip::FlowId;

use super::ua::{Call, Peer};
use super::{Contact, Event, Output, Problem};
use crate::{Aor, CallId, EndReason, LinkId};

/// The first byte of a binary message that carries SIP which is not UTF-8; no version of the overlay has it.
pub(super) const SIP_FRAME: u8 = 0;

impl Peer {
    /// Passes on what the two layers want, until they want nothing more.
    pub(super) fn pump(&mut self, now: Instant) {
        self.registration.run(&mut self.node, now);
        loop {
            if let Some(output) = self.node.poll_output() {
                self.overlay_output(output, now);
            } else if let Some(output) = self.agent.poll_output() {
                self.sip_output(output, now);
            } else {
                return;
            }
        }
    }

    fn overlay_output(&mut self, output: OrdinaryOutput, now: Instant) {
        let output = match output {
            OrdinaryOutput::Dial { link, url } => Output::Dial { link, url },
            OrdinaryOutput::Send { link, frame } => Output::Frame { link, bytes: frame },
            OrdinaryOutput::Close(link) => Output::Close { link },
            OrdinaryOutput::Sign(mut sign) => {
                sign.job = overlay_job(sign.job);
                Output::Sign(sign)
            }
            OrdinaryOutput::Verify(mut verify) => {
                verify.job = overlay_job(verify.job);
                Output::Verify(verify)
            }
            OrdinaryOutput::Event(event) => {
                self.overlay_event(event, now);
                return;
            }
        };
        self.outbox.push(output);
    }

    fn overlay_event(&mut self, event: OrdinaryEvent, now: Instant) {
        match event {
            OrdinaryEvent::Associated {
                link,
                node,
                url,
                stun,
            } => {
                self.stun.insert(link, stun);
                self.agent.handle_input(
                    sip::Input::FlowUp {
                        flow: FlowId(link.0),
                        super_node: node,
                        secure: url.starts_with("wss:"),
                    },
                    now,
                );
                self.associations_changed(now);
                self.welcome();
            }
            OrdinaryEvent::Dissociated { link, .. } => {
                self.stun.remove(&link);
                let flow = FlowId(link.0);
                self.agent.handle_input(sip::Input::FlowDown { flow }, now);
                self.associations_changed(now);
            }
            OrdinaryEvent::SuperNodes(contacts) => {
                self.named.clear();
                for contact in contacts {
                    self.named.push(Contact {
                        node: Some(contact.node),
                        url: contact.url,
                    });
                }
                self.welcome();
            }
            OrdinaryEvent::Revocations(list) => {
                self.agent
                    .handle_input(sip::Input::Revocations(list.clone()), now);
                self.event(Event::Revocations(list));
            }
            OrdinaryEvent::Records {
                query,
                records,
                last,
            } => {
                let (told, spoilt) = self.directory.records(query, &records, last, now);
                if spoilt {
                    self.event(Event::Problem(Problem::Record));
                }
                for (call, answer) in told {
                    self.found(call, answer, now);
                }
            }
            OrdinaryEvent::GetFailed { query, error } => {
                for (call, answer) in self.directory.failed(query, error, now) {
                    self.found(call, answer, now);
                }
            }
            OrdinaryEvent::Placed { query, .. } => {
                let event = self.registration.placed(query, now);
                self.events(event);
                self.registration.run(&mut self.node, now);
            }
            OrdinaryEvent::PlaceFailed { query, .. } => {
                let event = self.registration.failed(query, now);
                self.events(event);
                self.registration.run(&mut self.node, now);
            }
            OrdinaryEvent::Misbehaved { how, .. } => {
                use overlay::Misbehaviour as How;
                self.event(Event::Problem(match how {
                    How::Frame(_) | How::OutOfPlace => Problem::Frame,
                    How::Record(_) => Problem::Record,
                    How::Certificate
                    | How::NotASuperNode
                    | How::Proof
                    | How::Revocations
                    | How::Denial(_) => Problem::SuperNode,
                }));
            }
            OrdinaryEvent::Lost(key) => {
                self.registration.lost(key, now);
                self.registration.run(&mut self.node, now);
            }
            OrdinaryEvent::CredentialExpired => {
                self.event(Event::Problem(Problem::CredentialExpired));
            }
        }
    }

    fn associations_changed(&mut self, now: Instant) {
        let epoch = self.node.network_time(now);
        let epoch = epoch.saturating_sub(now.since_epoch().as_millis() as u64);
        let clock = WallClock::new(epoch);
        self.agent.handle_input(sip::Input::Clock(clock), now);
        let up = self.stun.len();
        self.event(Event::Associations { up });
        self.registration.touch(now);
        self.registration.run(&mut self.node, now);
    }

    /// Names the super nodes that were named last, in that order, then those that serve.
    fn welcome(&mut self) {
        let mut super_nodes = self.named.clone();
        for contact in self.super_nodes() {
            if super_nodes.iter().all(|known| known.node != contact.node) {
                super_nodes.push(contact);
            }
        }
        let mut stun: Vec<String> = Vec::new();
        for server in self.stun.values().flatten() {
            if !stun.contains(server) {
                stun.push(server.clone());
            }
        }
        self.event(Event::Welcome { super_nodes, stun });
    }

    fn sip_output(&mut self, output: sip::Output, now: Instant) {
        let output = match output {
            sip::Output::Send { flow, message } => {
                let link = LinkId(flow.0);
                match String::from_utf8(message) {
                    Ok(text) => Output::Text { link, text },
                    Err(error) => {
                        let mut bytes = error.into_bytes();
                        bytes.insert(0, SIP_FRAME);
                        Output::Frame { link, bytes }
                    }
                }
            }
            sip::Output::Sign(mut sign) => {
                sign.job = sip_job(sign.job);
                Output::Sign(sign)
            }
            sip::Output::Verify(mut verify) => {
                verify.job = sip_job(verify.job);
                Output::Verify(verify)
            }
            sip::Output::Event(event) => {
                self.sip_event(event, now);
                return;
            }
        };
        self.outbox.push(output);
    }

    fn sip_event(&mut self, event: sip::Event, now: Instant) {
        let event = match event {
            sip::Event::Incoming {
                call,
                caller,
                offer,
            } => {
                self.incoming(call, caller, offer, now);
                return;
            }
            sip::Event::LocationsWanted { call } => {
                let peer = self.calls.get(&call).and_then(|call| call.peer.clone());
                if let Some(peer) = peer {
                    self.look_up(call, &peer, true, now);
                }
                return;
            }
            sip::Event::Ended {
                call,
                reason,
                remote,
            } => {
                self.end(call, end_reason(reason), remote, now);
                return;
            }
            sip::Event::Misbehaved { how, .. } => {
                let identity = how == sip::Misbehaviour::BadIdentity;
                Event::Problem(if identity {
                    Problem::Identity
                } else {
                    Problem::Sip
                })
            }
            sip::Event::Answered {
                call,
                answer,
                bridged,
                ..
            } => {
                if let Some(call) = self.calls.get_mut(&call) {
                    call.answered = true;
                }
                self.directory.forget(call);
                let event = Event::Answered {
                    call,
                    answer,
                    bridged,
                };
                self.live(call, event);
                return;
            }
            sip::Event::Ringing { call, .. } => return self.live(call, Event::Ringing { call }),
            sip::Event::Established { call } => {
                return self.live(call, Event::Established { call });
            }
            sip::Event::Candidates {
                call,
                candidates,
                complete,
            } => {
                let event = Event::Candidates {
                    call,
                    candidates,
                    complete,
                };
                return self.live(call, event);
            }
            sip::Event::Offered { call, offer } => {
                return self.live(call, Event::Offered { call, offer });
            }
            sip::Event::Renegotiated { call, answer } => {
                return self.live(call, Event::Renegotiated { call, answer });
            }
            sip::Event::NotRenegotiated { call, glare } => {
                return self.live(call, Event::NotRenegotiated { call, glare });
            }
        };
        self.event(event);
    }

    /// One call at a time: a second one hears that the user is busy.
    fn incoming(&mut self, call: CallId, caller: crate::Caller, offer: String, now: Instant) {
        self.forget_old_calls(now);
        let busy = self.calls.values().any(|call| call.ended.is_none());
        let mut state = Call::with(Aor::read(&caller.uri), true);
        if busy {
            state.ended = Some(now);
            self.calls.insert(call, state);
            self.agent.busy(call, now);
            self.event(Event::Missed { caller });
            return;
        }
        self.calls.insert(call, state);
        self.agent.ring(call, now);
        self.event(Event::Incoming {
            call,
            caller,
            offer,
        });
    }

    /// Passes an event on unless the user was told that the call is over.
    fn live(&mut self, call: CallId, event: Event) {
        if self.is_live(call) {
            self.event(event);
        }
    }

    pub(super) fn events(&mut self, event: Option<Event>) {
        event.into_iter().for_each(|event| self.event(event));
    }

    pub(super) fn event(&mut self, event: Event) {
        self.outbox.push(Output::Event(event));
    }

    /// SIP counts on a link only after its super node has proved itself.
    pub(super) fn received(&mut self, link: LinkId, message: Vec<u8>, now: Instant) {
        if self.stun.contains_key(&link) {
            let flow = FlowId(link.0);
            self.agent
                .handle_input(sip::Input::Received { flow, message }, now);
        } else {
            self.event(Event::Problem(Problem::Frame));
        }
    }
}

/// Which layer asked for cryptography.
pub(super) enum Origin {
    Overlay(Job),
    Sip(Job),
}

const fn overlay_job(job: Job) -> Job {
    Job(job.0 << 1)
}

const fn sip_job(job: Job) -> Job {
    Job(job.0 << 1 | 1)
}

pub(super) const fn origin(job: Job) -> Origin {
    if job.0 & 1 == 0 {
        Origin::Overlay(Job(job.0 >> 1))
    } else {
        Origin::Sip(Job(job.0 >> 1))
    }
}

fn end_reason(reason: sip::EndReason) -> EndReason {
    match reason {
        sip::EndReason::HungUp => EndReason::HungUp,
        sip::EndReason::Cancelled => EndReason::Cancelled,
        sip::EndReason::Declined => EndReason::Declined,
        sip::EndReason::Busy => EndReason::Busy,
        sip::EndReason::NoAnswer => EndReason::NoAnswer,
        sip::EndReason::NotFound => EndReason::NotFound,
        sip::EndReason::Offline => EndReason::Offline,
        sip::EndReason::AnsweredElsewhere => EndReason::AnsweredElsewhere,
        sip::EndReason::IdentityRefused => EndReason::IdentityRefused,
        sip::EndReason::MediaRefused => EndReason::MediaRefused,
        sip::EndReason::CredentialExpired => EndReason::CredentialExpired,
        sip::EndReason::NotAcceptable => EndReason::NotAcceptable,
        sip::EndReason::Network => EndReason::Network,
        sip::EndReason::Failed(_) => EndReason::Failed,
    }
}
