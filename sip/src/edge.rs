//! The SIP edge of a super node: where a message goes next.

use alloc::vec::Vec;

use credential::{Instance, NodeId};

use crate::FlowId;

/// Where a message came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// A flow announced by [`Edge::flow_up`].
    Flow(FlowId),
    /// The link to another super node.
    SuperNode(NodeId),
}

/// What to do with a message that was taken in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Send it on a flow.
    ToFlow {
        /// The flow, one that is up.
        flow: FlowId,
        /// The message's bytes.
        message: Vec<u8>,
    },
    /// Send it to another super node; give it to [`Edge::undeliverable`] if that can't be reached.
    ToSuperNode {
        /// The super node.
        node: NodeId,
        /// The message's bytes.
        message: Vec<u8>,
    },
}

/// The SIP edge core of one super node. Holds no transaction: responses find their way by the token in their Via.
#[derive(Debug)]
pub struct Edge {
    node: NodeId,
}

impl Edge {
    /// The edge of super node `node`; `secret` is drawn anew by every process.
    #[must_use]
    pub fn new(node: NodeId, secret: [u8; 16]) -> Self {
        let _ = secret;
        Self { node }
    }

    /// Says that `flow` reaches device `instance` of the user `uri` (`sip:alice@example.org`), who proved both.
    /// A newer flow of the same device takes the older one's place.
    pub fn flow_up(&mut self, flow: FlowId, uri: &str, instance: Instance, secure: bool) {
        let _ = (flow, uri, instance, secure, &self.node);
    }

    /// Says that a flow is gone.
    pub fn flow_down(&mut self, flow: FlowId) {
        let _ = flow;
    }

    /// Takes in one message and appends what is to be done to `actions`.
    ///
    /// # Errors
    /// Says how the sender misbehaved if the message was dropped or refused; the refusal itself is among the actions.
    pub fn receive(
        &mut self,
        source: Source,
        message: &[u8],
        actions: &mut Vec<Action>,
    ) -> Result<(), Refusal> {
        let _ = (source, message, actions);
        Ok(())
    }

    /// Answers for a message that could not be sent to its super node: 503 back to where it came from.
    pub fn undeliverable(&mut self, message: &[u8], actions: &mut Vec<Action>) {
        let _ = (message, actions);
    }
}

/// Why a message was refused or dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// It is not a SIP message that can be read.
    Malformed,
    /// Its From is not the flow's user (403).
    ForeignFrom,
    /// Its Max-Forwards is used up (483).
    TooManyHops,
    /// It was here before (482).
    Loop,
    /// No flow of that device is up (430).
    FlowFailed,
    /// A response whose Via was not written by this node.
    StrayResponse,
    /// It came from a flow that is not up.
    UnknownFlow,
    /// It names no next hop that this node serves (404).
    NoRoute,
}
