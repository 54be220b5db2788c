//! The overlay's API (draft §9) for the program that a super node is part of.

use std::collections::HashMap;

use credential::NodeId;
use machine::Instant;
use p2psip::{GetError, Key, PlaceError, Placement, QueryId, SignedRecord, SuperNode};
use tokio::sync::oneshot;

type Got = Result<Vec<SignedRecord>, GetError>;
type Placed = Result<u64, PlaceError>;

/// Something that the program wants. Whoever does not wait for the answer gets none.
#[derive(Debug)]
pub(crate) enum Call {
    Get {
        key: Key,
        owner: Option<String>,
        answer: oneshot::Sender<Got>,
    },
    Update {
        key: Key,
        body: Vec<u8>,
        placement: Placement,
        answer: oneshot::Sender<Placed>,
    },
    Replicas {
        key: Key,
        answer: oneshot::Sender<Vec<NodeId>>,
    },
}

/// Who waits for what.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    gets: HashMap<QueryId, oneshot::Sender<Got>>,
    updates: HashMap<QueryId, oneshot::Sender<Placed>>,
}

impl Calls {
    pub(crate) fn begin(&mut self, node: &mut SuperNode, call: Call, now: Instant) {
        match call {
            Call::Get { key, owner, answer } => {
                let query = node.get(key, owner.as_deref(), now);
                self.gets.insert(query, answer);
            }
            Call::Update {
                key,
                body,
                placement,
                answer,
            } => {
                let query = node.update(key, body, placement, now);
                self.updates.insert(query, answer);
            }
            Call::Replicas { key, answer } => {
                let _ = answer.send(node.replicas(key));
            }
        }
    }

    pub(crate) fn got(&mut self, query: QueryId, records: Got) {
        if let Some(answer) = self.gets.remove(&query) {
            let _ = answer.send(records);
        }
    }

    pub(crate) fn placed(&mut self, query: QueryId, sequence: Placed) {
        if let Some(answer) = self.updates.remove(&query) {
            let _ = answer.send(sequence);
        }
    }
}
