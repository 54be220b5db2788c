//! To whom falls what comes in: signatures made and checked, messages of other super nodes, timers.

use credential::{NodeId, RevocationList, Signed, Verified};
use machine::Instant;

use super::placing::Origin;
use super::{Awaited, SuperNode, Timer, Waiting};
use crate::LinkId;
use crate::peer::Message;

impl SuperNode {
    pub(super) fn signed(&mut self, signed: Signed, now: Instant) {
        let signature = signed.signature;
        match self.signing.remove(&signed.job) {
            Some(Awaited::Challenge(link)) => self.challenge_signed(link, signature),
            Some(Awaited::Announcement(about)) => self.announcement_signed(about, signature, now),
            Some(Awaited::Departure(gone)) => self.departure_signed(gone, signature, now),
            Some(Awaited::Record {
                query,
                control,
                body,
            }) => self.own_record_signed(query, control, body, signature, now),
            None => {}
        }
    }

    pub(super) fn verified(&mut self, verified: Verified, now: Instant) {
        let Some((subject, failed)) = self.checks.answer(verified) else {
            return;
        };
        match subject {
            Waiting::Proof(link) => self.proof_checked(link, failed, now),
            Waiting::Announcement {
                from,
                statement,
                announcement,
                until,
            } => {
                let news = (announcement, until);
                self.announcement_checked(from, &statement, news, failed, now);
            }
            Waiting::Keeper {
                from,
                request,
                statement,
                announcement,
            } => {
                self.keeper_checked((from, request), &statement, announcement, failed, now);
            }
            Waiting::Departure {
                from,
                departure,
                until,
            } => self.departure_checked(from, departure, until, failed, now),
            Waiting::Revocations(from, _) if failed.is_some() => self.revocations_refused(from),
            Waiting::Revocations(_, list) => self.revocations_checked(list, now),
            Waiting::Put {
                asker,
                mode,
                record,
            } => self.put_checked(asker, mode, record, failed, now),
            Waiting::Place {
                origin,
                mode,
                record,
            } => self.place_checked(origin, mode, record, failed, now),
            Waiting::Found {
                from,
                request,
                record,
            } => self.found_checked(from, request, record, failed, now),
            Waiting::Copy { from, record } => self.copy_checked(from, record, failed, now),
        }
    }

    pub(super) fn peer_message(
        &mut self,
        link: LinkId,
        node: NodeId,
        message: Message,
        now: Instant,
    ) {
        match message {
            Message::Hello {
                announcement,
                joining,
            } => self.greeted(link, node, announcement, joining, now),
            Message::Digest {
                at,
                hash,
                revocations,
            } => self.digest_received(link, (at, hash), revocations, now),
            Message::Branch { at, prefix, hashes } => {
                self.branch_received(link, at, prefix, &hashes);
            }
            Message::Members {
                at,
                prefix,
                entries,
            } => self.members_received((link, node), (at, prefix), &entries, now),
            Message::Announcements { announcements } => {
                for announcement in announcements {
                    self.consider(node, announcement, self.own, now);
                }
            }
            Message::Ask { nodes } => self.asked(link, nodes),
            Message::Fetch { reach } => self.fetch_asked(link, node, reach, now),
            Message::Guides => self.guides_asked(link),
            Message::Who { request, key } => self.who_asked(link, request, key),
            Message::Size {
                members,
                full,
                pace,
            } => self.size_told((link, node), (members, full, pace)),
            Message::Keepers {
                request,
                announcements,
            } => self.keepers_told(node, request, announcements, now),
            Message::Doubt { node, incarnation } => self.suspect(node, incarnation, now),
            Message::News { parts } => self.news(node, parts, now),
            Message::Ping { number } => self.send_link(link, &Message::Pong { number }),
            Message::Pong { .. } => {}
            Message::Revocations { list } => match RevocationList::read(&list) {
                Some(list) => self.revocations_offered(Some(node), list),
                None => self.revocations_refused(Some(node)),
            },
            Message::Find(find) => self.find(node, find, now),
            Message::Ack { asker, request } => self.acknowledged(node, asker, request),
            Message::Found { request, records } => self.found(node, request, records, now),
            Message::Place {
                request,
                mode,
                record,
            } => {
                let origin = Origin {
                    node,
                    request,
                    touch: false,
                };
                self.store_record(origin, mode, record, now);
            }
            Message::Touch {
                request,
                control,
                signature,
            } => {
                let origin = Origin {
                    node,
                    request,
                    touch: true,
                };
                self.store_touch(origin, control, signature, now);
            }
            Message::Placed { request, outcome } => self.replica_answered(node, request, outcome),
            Message::Compare {
                after,
                last,
                digest,
            } => self.compared(node, after, last, digest, now),
            Message::Same { after, last } => self.same(node, after, last, now),
            Message::Slots {
                after,
                last,
                slots,
                more,
            } => self.slots_listed(node, (after, last), slots, more, now),
            Message::Want { slots } => self.wanted(node, slots, now),
            Message::Copies { records } => self.copies(node, records, now),
        }
    }

    pub(super) fn due(&mut self, timer: Timer, now: Instant) {
        match timer {
            Timer::Association(link) => self.association_due(link, now),
            Timer::Wave(request) => self.wave_due(request, now),
            Timer::Search(request) => self.search_due(request),
            Timer::Hop(asker, request) => self.hop_due(asker, request, now),
            Timer::Who(request) => self.who_due(request, now),
            Timer::Placing(number) => self.placing_due(number),
            Timer::Copy => self.copy_due(now),
            Timer::Sync => self.sync_due(now),
            Timer::Probe => self.probe(now),
            Timer::Suspect(link) => self.suspect_due(link, now),
            Timer::Dial(node, number) => self.dial_due(node, number, now),
            Timer::Join => self.join_due(now),
            Timer::Round => self.round(now),
            Timer::CopyRound => self.copy_round(now),
            Timer::Sweep => self.sweep(now),
            Timer::Keep => self.keep_due(),
            Timer::Guard => self.guard_due(now),
            Timer::Announce => self.announce_due(now),
            Timer::News => self.news_due(now),
            Timer::Direct => self.direct_due(now),
            Timer::Report(node) => self.report_due(node, now),
            Timer::Suspicion(node) => self.suspicion_due(node, now),
            Timer::Again => self.again_due(now),
            Timer::Parting => self.parted(now),
        }
    }
}
