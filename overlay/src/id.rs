use alloc::string::String;

use credential::NodeId;

/// Names a link between nodes: a WebSocket or a QUIC connection of the driver.
///
/// An ordinary node numbers the links that it asks for; at a super node the driver numbers all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u64);

/// Connects a call of the overlay API with its events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueryId(pub u64);

/// A super node that might be there. It gets no trust from being named here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Its WebSocket URL, `wss://host:port/p2psip`.
    pub url: String,
    /// Its id, if whoever named it said so. Another one that answers is as good.
    pub node: Option<NodeId>,
}

/// How a record is to be placed (draft §9: lifetime and option).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placement {
    /// Seconds that it lives.
    pub lifetime: u32,
    /// The draft's NO_UPDATE_OPTION: it can be neither updated nor removed.
    pub no_update: bool,
    /// Who may change it.
    pub policy: crate::Policy,
}

impl Placement {
    /// An ordinary, updatable record that lives so many seconds.
    #[must_use]
    pub fn lasting(lifetime: u32) -> Self {
        Self {
            lifetime,
            no_update: false,
            policy: crate::Policy::default(),
        }
    }
}

/// How hard `get` looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// The first super node that answers well is enough; the other one is asked when it is slow, lies, or has nothing.
    Quick,
    /// Both associations are asked, past any super node's own copy, and the newest version is the one that counts.
    Newest,
}
