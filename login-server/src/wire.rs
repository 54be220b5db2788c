//! The documents of the machine endpoints, and the exact text that is signed in the requests that carry a signature.
//!
//! Binary values travel as base64 (standard alphabet, padded): certificates as DER, public keys as
//! SubjectPublicKeyInfo, signatures as raw `r‖s` (64 bytes, P-256 with SHA-256) over the UTF-8 bytes of the text.

use serde::{Deserialize, Serialize};

/// Body of `POST /token`: redeems an authorization code (RFC 6749 §4.1.3, RFC 7636 §4.5).
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenRequest {
    /// The code from the redirect's fragment.
    pub code: String,
    /// The verifier whose SHA-256 was the challenge.
    pub code_verifier: String,
    /// `authorization_code`, if given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grant_type: Option<String>,
    /// `page`, if given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// The same as in the authorization request, if given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redirect_uri: Option<String>,
}

/// Body of `POST /guest`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GuestRequest {
    /// The guest's own public key.
    pub public_key: String,
    /// The browser's instance: a UUID, with or without `urn:uuid:`.
    pub instance: String,
    /// A wish: its letters and digits become part of the guest's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// Body of `POST /renew`: a user's or guest's next certificate, asked for with the current key.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RenewRequest {
    /// The current certificate.
    pub certificate: String,
    /// The key for the next certificate; may be the current one.
    pub public_key: String,
    /// Milliseconds since 1970; later than in the last renewal of this device.
    pub timestamp: u64,
    /// Over [`renew_text`], by the current key.
    pub signature: String,
}

/// `POST /revoke`: the device signs itself out, and its certificates end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RevokeRequest {
    /// The current certificate.
    pub certificate: String,
    /// Milliseconds since 1970.
    pub timestamp: u64,
    /// Over [`revoke_text`], by the certificate's key.
    pub signature: String,
}

/// Answer of `POST /revoke`: an empty document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revoked {}

/// Answer of `POST /token`, `/guest` and `/renew`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credential {
    /// `sip:alice@example.org`.
    pub uri: String,
    /// The part before the `@`.
    pub name: String,
    /// Whether this is a guest.
    pub guest: bool,
    /// The certificate over the key that was handed in.
    pub certificate: String,
    /// The overlay's root certificate.
    pub root: String,
    /// The overlay's id, in hex.
    pub overlay: String,
    /// The domain of the users.
    pub domain: String,
    /// When the certificate ends, in milliseconds since 1970.
    pub expires: u64,
}

/// Body of `POST /enrol`: an operator's node becomes a super node.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnrolRequest {
    /// The enrolment token.
    pub token: String,
    /// The node's own public key.
    pub public_key: String,
    /// Origins that the node serves the page at.
    pub names: Vec<String>,
    /// Address that other super nodes dial, `host:port`.
    pub quic: String,
}

/// Body of `POST /enrol/renew`: a super node's next certificate, asked for with the current key.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnrolRenewRequest {
    /// The current certificate.
    pub certificate: String,
    /// The key for the next certificate; may be the current one.
    pub public_key: String,
    /// Origins that the node serves the page at.
    pub names: Vec<String>,
    /// Address that other super nodes dial, `host:port`.
    pub quic: String,
    /// Milliseconds since 1970; later than in the last renewal of this node.
    pub timestamp: u64,
    /// Over [`enrol_renew_text`], by the current key.
    pub signature: String,
}

/// Answer of `POST /enrol` and `/enrol/renew`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enrolment {
    /// The node id that the authority chose, in hex.
    pub node: String,
    /// The certificate over the key that was handed in.
    pub certificate: String,
    /// The compact member statement over the same key.
    pub statement: String,
    /// The overlay's root certificate.
    pub root: String,
    /// The overlay's id, in hex.
    pub overlay: String,
    /// The domain of the users.
    pub domain: String,
    /// When the certificate ends, in milliseconds since 1970.
    pub expires: u64,
}

/// Body of `POST /phone`: a super node that is the registrar of a SIP phone asks for a certificate over its own key that lets it
/// speak for the phone.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PhoneRequest {
    /// The super node's certificate.
    pub certificate: String,
    /// The name before the `@` of the phone's address.
    pub user: String,
    /// Milliseconds since 1970.
    pub timestamp: u64,
    /// Over [`phone_text`], by the certificate's key.
    pub signature: String,
}

/// Answer of `POST /phone`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delegation {
    /// The delegated certificate.
    pub certificate: String,
    /// When it ends, in milliseconds since 1970.
    pub expires: u64,
}

/// Body of `POST /super-nodes`: a super node says that it is reachable.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// The super node's certificate.
    pub certificate: String,
    /// Milliseconds since 1970; later than in its last report.
    pub timestamp: u64,
    /// WebSocket address for ordinary nodes.
    pub ws: String,
    /// Address that other super nodes dial, `host:port`.
    pub quic: String,
    /// Over [`report_text`], by the certificate's key.
    pub signature: String,
}

/// Answer of `GET /super-nodes`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SuperNodes {
    /// The super nodes that reported themselves within the last minute, in no particular order.
    pub super_nodes: Vec<SuperNode>,
}

/// One entry of [`SuperNodes`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SuperNode {
    /// Node id in hex.
    pub node: String,
    /// WebSocket address for ordinary nodes.
    pub ws: String,
    /// Address that other super nodes dial, `host:port`.
    pub quic: String,
}

/// Every refusal of a machine endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// A code to branch on, such as `invalid_grant`.
    pub error: String,
    /// One sentence for a person.
    pub sentence: String,
}

/// What the current key signs in a [`RenewRequest`]. `overlay` is the overlay id in hex.
#[must_use]
pub fn renew_text(overlay: &str, timestamp: u64, public_key: &str) -> String {
    format!("partyline renew 1\n{overlay}\n{timestamp}\n{public_key}")
}

/// What the device's key signs in a [`RevokeRequest`]. `overlay` is the overlay id in hex.
#[must_use]
pub fn revoke_text(overlay: &str, timestamp: u64) -> String {
    format!("partyline revoke 1\n{overlay}\n{timestamp}")
}

/// What the current key signs in an [`EnrolRenewRequest`]. `overlay` is the overlay id in hex.
#[must_use]
pub fn enrol_renew_text(
    overlay: &str,
    timestamp: u64,
    public_key: &str,
    quic: &str,
    names: &[String],
) -> String {
    format!(
        "partyline enrol renew 1\n{overlay}\n{timestamp}\n{public_key}\n{quic}\n{}",
        names.join(" ")
    )
}

/// What a super node signs in a [`PhoneRequest`]. `overlay` is the overlay id in hex.
#[must_use]
pub fn phone_text(overlay: &str, timestamp: u64, user: &str) -> String {
    format!("partyline phone 1\n{overlay}\n{timestamp}\n{user}")
}

/// What a super node signs in a [`Report`]. `overlay` is the overlay id in hex.
#[must_use]
pub fn report_text(overlay: &str, timestamp: u64, ws: &str, quic: &str) -> String {
    format!("partyline report 1\n{overlay}\n{timestamp}\n{ws}\n{quic}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r108_texts_that_nodes_sign_for_the_login_server_are_as_specified() {
        let overlay = "000102030405060708090a0b0c0d0e0f";
        let names = [
            "https://a.example".to_owned(),
            "https://b.example:8443".to_owned(),
        ];
        let time = 1_795_400_000_000;
        assert_eq!(
            vector("login/renew-text"),
            renew_text(overlay, time, "MFkw")
        );
        assert_eq!(vector("login/revoke-text"), revoke_text(overlay, time));
        let text = enrol_renew_text(overlay, time, "MFkw", "192.0.2.1:4433", &names);
        assert_eq!(vector("login/enrol-renew-text"), text);
    }

    #[test]
    fn r095_the_text_that_nodes_sign_for_the_bootstrap_server_is_as_specified() {
        let overlay = "000102030405060708090a0b0c0d0e0f";
        let text = report_text(
            overlay,
            1_795_400_000_000,
            "wss://a.example/p2psip",
            "192.0.2.1:4433",
        );
        assert_eq!(vector("login/report-text"), text);
    }

    /// A vector of `docs/protocol.md`.
    fn vector(name: &str) -> String {
        let document = include_str!("../../docs/protocol.md");
        let (_, rest) = document.split_once(&format!("```vector {name}\n")).unwrap();
        let (digits, _) = rest.split_once("```").unwrap();
        let digits: Vec<u8> = digits.bytes().filter(u8::is_ascii_hexdigit).collect();
        let bytes = digits
            .chunks(2)
            .map(|pair| u8::from_str_radix(core::str::from_utf8(pair).unwrap(), 16));
        String::from_utf8(bytes.collect::<Result<_, _>>().unwrap()).unwrap()
    }
}
