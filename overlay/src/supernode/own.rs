//! What a super node tells and does for whoever runs it; the API of draft §9 among it, for records that belong to its
//! node id.

use alloc::string::ToString;
use alloc::vec::Vec;

use credential::{Certificate, MemberStatement, NodeId, OverlayId, Signature};
use machine::Instant;

use super::placing::Parcel;
use super::{Asker, Awaited, State, SuperNode, SuperNodeEvent};
use crate::association::Mode;
use crate::record::{MAX_BODY, MAX_LIFETIME, message, owner};
use crate::{Control, GetError, Key, LinkId, PlaceError, Placement, QueryId, SignedRecord};

impl SuperNode {
    /// The overlay that it is a member of.
    #[must_use]
    pub fn overlay(&self) -> OverlayId {
        self.config.anchor.overlay()
    }

    /// Its own id.
    #[must_use]
    pub fn node(&self) -> NodeId {
        self.own
    }

    /// Which of its announcements the others know, in milliseconds since 1970; none before it has joined.
    #[must_use]
    pub fn incarnation(&self) -> Option<u64> {
        self.announcement.as_ref().map(|own| own.about.incarnation)
    }

    /// How much of the ring it knows: 0 for all, n for those within the 2^n-th part of it on either side.
    #[must_use]
    pub fn reach(&self) -> u8 {
        self.ring.reach()
    }

    /// The link to another super node, if one stands.
    #[must_use]
    pub fn link(&self, node: NodeId) -> Option<LinkId> {
        self.link_to(node)
    }

    /// Sees to it that there is a link to a member: [`SuperNodeEvent::PeerUp`] or [`SuperNodeEvent::PeerFailed`] follows,
    /// unless [`link`](Self::link) already has one.
    pub fn connect(&mut self, node: NodeId, now: Instant) {
        self.want_link(node, now);
    }

    /// The members of the ring that it knows, itself included, clockwise: id and WebSocket URL.
    pub fn members(&self) -> impl Iterator<Item = (NodeId, &str)> {
        let members = self.ring.members();
        members.map(|member| (member.node(), member.url()))
    }

    /// The super nodes that keep a key's records, the responsible one first.
    #[must_use]
    pub fn replicas(&self, key: Key) -> Vec<NodeId> {
        self.ring.replicas(key)
    }

    /// Replaces the credential by a renewed one, and says so to all.
    pub fn renew(&mut self, certificate: Certificate, statement: MemberStatement, now: Instant) {
        self.config.certificate = certificate;
        self.config.statement = statement;
        if matches!(self.state, State::Joined) {
            self.announce(now);
        }
    }

    /// Leaves the ring: hands its records over, announces it, and takes leave of its ordinary nodes.
    pub fn leave(&mut self, now: Instant) {
        self.begin_leave(now);
    }

    /// Looks a key up for the super node itself. See [`OrdinaryNode::get`](crate::OrdinaryNode::get).
    pub fn get(
        &mut self,
        overlay: OverlayId,
        key: Key,
        owner: Option<&str>,
        now: Instant,
    ) -> QueryId {
        let query = self.query();
        if overlay == self.overlay() {
            let owner = owner.map(ToString::to_string);
            self.search(Asker::Own(query), key, owner, false, now);
        } else {
            let error = GetError::NotAMember(overlay);
            self.event(SuperNodeEvent::GetFailed { query, error });
        }
        query
    }

    /// Places a record of the super node itself. See [`OrdinaryNode::update`](crate::OrdinaryNode::update).
    pub fn update(
        &mut self,
        overlay: OverlayId,
        key: Key,
        body: Vec<u8>,
        placement: Placement,
        now: Instant,
    ) -> QueryId {
        let query = self.query();
        let error = if overlay != self.overlay() {
            PlaceError::NotAMember(overlay)
        } else if body.len() > MAX_BODY {
            PlaceError::TooLarge
        } else if placement.lifetime == 0 || placement.lifetime > MAX_LIFETIME {
            PlaceError::Lifetime
        } else if let Some((owner, instance)) = owner(&self.config.certificate) {
            let control = Control {
                overlay,
                key,
                owner,
                instance,
                policy: placement.policy,
                sequence: 0,
                lifetime: placement.lifetime,
                no_update: placement.no_update,
                removed: false,
            };
            self.sign_own_record(query, control, body, now);
            return query;
        } else {
            PlaceError::CredentialExpired
        };
        self.event(SuperNodeEvent::PlaceFailed { query, error });
        query
    }

    /// A record of the super node itself has its signature.
    pub(super) fn own_record_signed(
        &mut self,
        query: QueryId,
        control: Control,
        body: Vec<u8>,
        signature: Signature,
        now: Instant,
    ) {
        let record = SignedRecord {
            control,
            body,
            certificate: self.config.certificate.der().to_vec(),
            signature,
        };
        let parcel = Parcel::Record(Mode::Update, record);
        self.place(Asker::Own(query), parcel, now);
    }

    pub(super) fn sign_own_record(
        &mut self,
        query: QueryId,
        mut control: Control,
        body: Vec<u8>,
        now: Instant,
    ) {
        control.sequence = self.wall(now).max(self.last_sequence + 1);
        self.last_sequence = control.sequence;
        let signed = message(&control, &body);
        self.sign(
            Awaited::Record {
                query,
                control,
                body,
            },
            signed,
        );
    }
}
