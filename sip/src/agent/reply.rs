//! Responses of this user agent.

use alloc::string::String;

use crate::message::{Message, Name};
use crate::status;
use crate::text::{digits, fill, filled};

/// What this user agent understands, as header lines.
pub(super) const DESCRIPTION: &str = "Allow: INVITE, ACK, CANCEL, BYE, PRACK, UPDATE, INFO, OPTIONS\r\n\
    Supported: 100rel, trickle-ice\r\nRecv-Info: trickle-ice\r\n";

/// A response but for what differs from transaction to transaction.
#[derive(Debug, Clone)]
pub(super) struct Reply {
    pub(super) status: u16,
    /// Whole lines.
    pub(super) headers: String,
    /// With this user agent's Contact, as it is when the response is sent.
    pub(super) contact: bool,
    /// A description, or nothing.
    pub(super) sdp: String,
}

impl Reply {
    pub(super) fn new(status: u16) -> Self {
        Self::with(status, "")
    }

    /// A response with whole header lines.
    pub(super) fn with(status: u16, headers: &str) -> Self {
        Self {
            status,
            headers: headers.into(),
            contact: false,
            sdp: String::new(),
        }
    }

    /// A response with what the peer needs to know of this device.
    pub(super) fn describing(status: u16) -> Self {
        let mut reply = Self::with(status, DESCRIPTION);
        reply.contact = true;
        reply
    }

    /// A refusal that says why.
    pub(super) fn warning(status: u16, sentence: &str) -> Self {
        let warning = filled("Warning: 399 partyline \"%\"\r\n", &[sentence]);
        Self::with(status, &warning)
    }

    /// Writes the response to the request whose [`head`] is given.
    pub(super) fn write(&self, head: &str, contact: &str) -> String {
        let mut text = filled(
            "SIP/2.0 % %\r\n",
            &[&digits(self.status.into()), status::phrase(self.status)],
        );
        text.push_str(head);
        text.push_str(&self.headers);
        if self.contact {
            fill(&mut text, "Contact: %\r\n", &[contact]);
        }
        if !self.sdp.is_empty() {
            text.push_str(SDP);
        }
        end(&mut text, &self.sdp);
        text
    }
}

/// The header of a description.
pub(super) const SDP: &str = "Content-Type: application/sdp\r\n";

/// Ends a message with its body.
pub(super) fn end(text: &mut String, body: &str) {
    let length = digits(body.len() as u64);
    fill(text, "Content-Length: %\r\n\r\n", &[&length]);
    text.push_str(body);
}

/// The lines of a request that its responses repeat (RFC 3261, section 8.2.6); a To without tag gets `tag`.
pub(super) fn head(request: &Message, tag: &str) -> String {
    let mut head = String::new();
    for (name, line) in request.lines() {
        match name {
            Name::Via | Name::From | Name::CallId | Name::CSeq => head.push_str(line),
            Name::To if !request.to_tag().is_empty() => head.push_str(line),
            Name::To => fill(
                &mut head,
                "%;tag=%\r\n",
                &[line.strip_suffix("\r\n").unwrap_or(line), tag],
            ),
            _ => {}
        }
    }
    head
}
