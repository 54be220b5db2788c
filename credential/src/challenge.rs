//! What the two ends of an association sign to show that they hold their keys (draft §5.4, §11.6).
//!
//! ```text
//! "partyline association 1"   23 bytes, ASCII
//! overlay id                  16
//! role of the signer           1   1 ordinary node, 2 super node
//! nonce of the ordinary node  32
//! nonce of the super node     32
//! node id of the super node   20
//! length of the host           1
//! host                         n   the host that the ordinary node dialled, in lower case
//! ```
//! The host makes a signature worthless to a relaying impostor: it dialled nobody under that name. The role keeps
//! one side's signature from being reflected as the other's.

use alloc::vec::Vec;

use crate::{NodeId, OverlayId};

const DOMAIN: &[u8] = b"partyline association 1";

/// A random number that is used once.
pub type Nonce = [u8; 32];

/// Which end of an association signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The node that dialled.
    OrdinaryNode = 1,
    /// The node that was dialled.
    SuperNode = 2,
}

/// What both ends of an association know and sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Challenge<'a> {
    /// The overlay that the association is for.
    pub overlay: OverlayId,
    /// Drawn by the ordinary node for this association.
    pub ordinary: &'a Nonce,
    /// Drawn by the super node for this association.
    pub super_node: &'a Nonce,
    /// The super node's id, as its certificate says.
    pub node: NodeId,
    /// The host that the ordinary node dialled, without a port.
    pub host: &'a str,
}

impl Challenge<'_> {
    /// The bytes that the end with this role signs. A host beyond 255 bytes is no host: it yields `None`.
    #[must_use]
    pub fn message(&self, signer: Role) -> Option<Vec<u8>> {
        let length = u8::try_from(self.host.len()).ok()?;
        let mut message = Vec::with_capacity(125 + self.host.len());
        message.extend_from_slice(DOMAIN);
        message.extend_from_slice(&self.overlay.0);
        message.push(signer as u8);
        message.extend_from_slice(self.ordinary);
        message.extend_from_slice(self.super_node);
        message.extend_from_slice(&self.node.0);
        message.push(length);
        message.extend(self.host.bytes().map(|byte| byte.to_ascii_lowercase()));
        Some(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;

    #[test]
    fn layout_is_the_documented_one() {
        let challenge = Challenge {
            overlay: OverlayId([1; 16]),
            ordinary: &[2; 32],
            super_node: &[3; 32],
            node: NodeId([4; 20]),
            host: "SN.Example.org",
        };
        let mut expected = b"partyline association 1".to_vec();
        expected.extend([1; 16]);
        expected.push(2);
        expected.extend([2; 32]);
        expected.extend([3; 32]);
        expected.extend([4; 20]);
        expected.push(14);
        expected.extend(b"sn.example.org");
        assert_eq!(challenge.message(Role::SuperNode), Some(expected));
        assert_ne!(
            challenge.message(Role::SuperNode),
            challenge.message(Role::OrdinaryNode)
        );
    }

    #[test]
    fn endless_host_is_no_host() {
        let host: String = "a".repeat(256);
        let challenge = Challenge {
            overlay: OverlayId([1; 16]),
            ordinary: &[2; 32],
            super_node: &[3; 32],
            node: NodeId([4; 20]),
            host: &host,
        };
        assert_eq!(challenge.message(Role::OrdinaryNode), None);
    }
}
