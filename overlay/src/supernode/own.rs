//! The API of draft §9 for the super node itself, whose records belong to its node id.

use alloc::string::ToString;
use alloc::vec::Vec;

use credential::{OverlayId, Signature};
use machine::Instant;

use super::{Asker, Awaited, SuperNode, SuperNodeEvent};
use crate::association::Mode;
use crate::record::{MAX_BODY, MAX_LIFETIME, message, owner};
use crate::{Control, GetError, Key, PlaceError, Placement, QueryId, SignedRecord};

impl SuperNode {
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
        self.place(Asker::Own(query), Mode::Update, record, now);
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
