//! The lies of a super node that lies (`relay-node/examples/evil`).

/// What the super node does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lie {
    /// Nothing.
    None,
    /// Changes what a location record says.
    AlteredRecord,
    /// Answers with another user's record, which is valid.
    OthersRecord,
    /// Answers with the first version of the record that it ever saw.
    OldRecord,
    /// Puts another DTLS fingerprint into offers.
    Offer,
    /// Puts another DTLS fingerprint into answers.
    Answer,
    /// Proves itself with another super node's certificate ([`EvilNode::borrow`](crate::EvilNode::borrow)).
    Certificate,
    /// Sends what is no message at all, and one that is too large, before everything that it has to say.
    Garbage,
}

impl Lie {
    /// The word that has the super node tell it.
    pub fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::AlteredRecord => "altered-record",
            Self::OthersRecord => "others-record",
            Self::OldRecord => "old-record",
            Self::Offer => "offer",
            Self::Answer => "answer",
            Self::Certificate => "certificate",
            Self::Garbage => "garbage",
        }
    }
}
