//! What a member that knows all does for those that know a part of the ring.

use alloc::vec::Vec;

use credential::NodeId;
use machine::Instant;

use super::SuperNode;
use super::ring::{FURTHEST, Window};
use crate::peer::{Event, Message};
use crate::{Key, LinkId};

/// How many members that know all one answer names.
pub(super) const NAMED: usize = 8;
/// How often one super node may fetch a table, in a second and at once.
const FETCHES: (u32, u32) = (1, 4);

impl SuperNode {
    /// Tells a newcomer what knowing all would cost it; who does not know that names some who do.
    pub(super) fn send_size(&mut self, link: LinkId) {
        if self.ring.is_partial() {
            return self.guides_asked(link);
        }
        let size = Message::Size {
            members: self.ring.len() as u32,
            full: self.ring.guides().count() as u32 + 1,
            pace: self.pace() as u32,
        };
        self.send_link(link, &size);
    }

    /// A newcomer fetches the part of the table that it will know.
    pub(super) fn fetch_asked(&mut self, link: LinkId, node: NodeId, reach: u8, now: Instant) {
        let peer = self.peers.get_mut(&link);
        let may = peer.is_some_and(|peer| peer.fetches.take(FETCHES.0, FETCHES.1, now));
        if !may || reach > FURTHEST {
            return;
        }
        self.guides_asked(link);
        if self.ring.is_partial() {
            return;
        }
        let center = node;
        let window = Window { center, reach };
        let inside = self.ring.within(window).map(|member| member.node());
        let inside: Vec<NodeId> = inside.collect();
        self.send_announcements(link, &inside);
        let at = self.latest(now);
        let digest = Message::Digest {
            at,
            hash: self.ring.hash_within(window, at),
            revocations: self.revocations.number(),
        };
        self.send_link(link, &digest);
        // They are in the table still.
        let mut suspected = self.suspected();
        suspected.retain(|event| match event {
            Event::Gone(departure) => window.covers(departure.gone.node),
            Event::Up(_) => false,
        });
        self.inform(node, suspected, now);
    }

    /// Names a few members that know all, itself among them.
    pub(super) fn guides_asked(&mut self, link: LinkId) {
        let all = self.ring.guides().count() as u32;
        let first = self.rng.below(all.max(1)) as usize;
        let guides = self.ring.guides().cycle().skip(first);
        let mut named: Vec<NodeId> = guides.take(NAMED.min(all as usize)).collect();
        if !self.ring.is_partial() {
            named.push(self.own);
        }
        self.send_announcements(link, &named);
    }

    /// Says who keeps a key's records.
    pub(super) fn who_asked(&mut self, link: LinkId, request: u64, key: Key) {
        let keepers = if self.ring.knows(key) {
            self.ring.replicas(key)
        } else {
            Vec::new()
        };
        let members = keepers.iter().filter_map(|&node| self.ring.member(node));
        let announcements = members.map(|member| member.announcement().clone());
        let announcements = announcements.collect();
        let message = Message::Keepers {
            request,
            announcements,
        };
        self.send_link(link, &message);
    }
}
