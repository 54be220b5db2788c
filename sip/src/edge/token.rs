//! The flow token in the branch of a Via that the edge pushes.
//!
//! ```text
//! branch = "z9hG4bK" base64url(kind 1 | flow 8 or node 20 | hash of the branch below 8 | keyed hash 8)
//! ```
//! The keyed hash covers the rest of the token, Call-ID and CSeq number, so that a token serves for the responses to
//! its own request only. The hash of the branch below makes the branch as unique as that one and the same for an
//! INVITE, its CANCEL and the ACK of a refusal, as RFC 3261, section 16.11 demands of a stateless proxy.

use alloc::string::String;
use alloc::vec::Vec;

use credential::NodeId;

use super::Source;
use crate::FlowId;
use crate::base64;
use crate::message::Message;
use crate::siphash;

const COOKIE: &str = "z9hG4bK";
const FLOW: u8 = 1;
const SUPER_NODE: u8 = 2;

pub(super) struct Token {
    source: Source,
    below: [u8; 8],
}

impl Token {
    /// The token of a request that came from `source`.
    pub(super) fn for_request(source: Source, message: &Message) -> Self {
        let branch = message.via().and_then(|via| via.branch()).unwrap_or("");
        // Unkeyed: it need be unique, not secret.
        let below = siphash::hash(&[0; 16], &[branch.as_bytes()]).to_be_bytes();
        Self { source, below }
    }

    pub(super) fn source(&self) -> Source {
        self.source
    }

    /// Writes the branch.
    pub(super) fn branch(&self, secret: &[u8; 16], message: &Message) -> String {
        let mut bytes = self.bytes();
        let seal = seal(secret, &bytes, message);
        bytes.extend(seal);
        let mut branch = String::from(COOKIE);
        base64::write_url(&bytes, &mut branch);
        branch
    }

    /// Reads a branch that [`branch`](Self::branch) wrote for a message with this Call-ID and CSeq.
    pub(super) fn read(branch: &str, secret: &[u8; 16], message: &Message) -> Option<Self> {
        let bytes = base64::read_url(branch.strip_prefix(COOKIE)?)?;
        let (rest, sealed) = bytes.split_last_chunk::<8>()?;
        let expected = seal(secret, rest, message);
        if !siphash::same(&expected, sealed) {
            return None;
        }
        let (rest, below) = rest.split_last_chunk::<8>()?;
        let (kind, id) = rest.split_first()?;
        let source = match *kind {
            FLOW => Source::Flow(FlowId(u64::from_be_bytes(id.try_into().ok()?))),
            SUPER_NODE => Source::SuperNode(NodeId::from_slice(id)?),
            _ => return None,
        };
        Some(Self {
            source,
            below: *below,
        })
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(37);
        match self.source {
            Source::Flow(FlowId(flow)) => {
                bytes.push(FLOW);
                bytes.extend(flow.to_be_bytes());
            }
            Source::SuperNode(node) => {
                bytes.push(SUPER_NODE);
                bytes.extend(node.as_bytes());
            }
        }
        bytes.extend(self.below);
        bytes
    }
}

fn seal(secret: &[u8; 16], bytes: &[u8], message: &Message) -> [u8; 8] {
    let number = message.cseq().map_or(0, |cseq| cseq.number).to_be_bytes();
    let parts = [bytes, &number, message.call_id().as_bytes()];
    siphash::hash(secret, &parts).to_be_bytes()
}
