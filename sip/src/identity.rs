//! Who calls, proved end to end (RFC 8224), and the DTLS fingerprints he vouches for.
//!
//! ```text
//! Identity: base64url(header) "." base64url(payload) "." base64url(r | s) ";info=<" orig ">;alg=ES256"
//! header   {"alg":"ES256","typ":"passport","x5c":["<certificate, base64>"]}
//! payload  {"dest":{"uri":["sip:bob@example.org"]},"iat":1795400000,"jti":"<Call-ID>/<number>",
//!           "mky":[{"alg":"sha-256","dig":"AB12.."}],"orig":{"uri":"sip:alice@example.org"},"rcd":{"nam":"Alice"}}
//! ```
//! The certificate travels in the header (`x5c`), so nothing is ever fetched: `x5u` and `info` are not followed, and
//! `info` must repeat the signed caller. `jti` ties the token to its call; `rcd` (RFC 9795) keeps the display name
//! from being changed on the way, yet it remains the caller's own claim.

use alloc::string::String;
use alloc::vec::Vec;

use credential::{Certificate, Check, Instance, Refusal, RevocationList, Signature, TrustAnchor};

use crate::base64;
use crate::message::{Message, Name};
use crate::sdp::{self, Description, Fingerprint};
use crate::text::{digits, fill, filled};
use crate::uri::Uri;

mod json;
mod replay;

use json::Reader;
pub(crate) use replay::Replays;

/// How far a token's `iat` may be from the own clock, in seconds (RFC 8224, section 6.2, recommends 60).
pub(crate) const FRESH: u64 = 60;
const MAXIMUM: usize = 8_192;
const MAXIMUM_NAME: usize = 128;

/// What a caller signs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Claims {
    pub(crate) orig: String,
    pub(crate) dest: String,
    /// Seconds since 1970.
    pub(crate) iat: u64,
    pub(crate) request: String,
    pub(crate) fingerprints: Vec<Fingerprint>,
    pub(crate) name: Option<String>,
}

/// Why an Identity is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IdentityError {
    /// There is none (428).
    Missing,
    /// It does not follow its form, or its signature is wrong (438).
    Invalid,
    /// It speaks of another caller, callee, request or key than the message (438).
    Mismatch,
    /// Its certificate does not count here (437).
    Credential(Refusal),
    /// Its certificate can't be read (437).
    Unreadable,
    /// It is too old, or of the future (403).
    Stale,
    /// It was used before (403).
    Replayed,
}

impl IdentityError {
    /// The status of the refusal and its sentence (RFC 8224, section 6.2.2).
    pub(crate) fn answer(self) -> (u16, &'static str) {
        match self {
            Self::Missing => (428, "the call is not signed by its caller"),
            Self::Invalid => (438, "the caller's signature does not hold"),
            Self::Mismatch => (438, "what the caller signed is not what the request says"),
            Self::Credential(Refusal::Expired) => (437, "the caller's certificate has expired"),
            Self::Credential(Refusal::Revoked) => (437, "the caller's certificate was revoked"),
            Self::Credential(_) => (437, "the caller's certificate does not count here"),
            Self::Unreadable => (437, "the caller's certificate can't be read"),
            Self::Stale => (403, "stale date: the clocks differ by more than a minute"),
            Self::Replayed => (403, "the signature was used before"),
        }
    }
}

/// What [`read`] found, complete but for the two signatures.
#[derive(Debug, Clone)]
pub(crate) struct Presented {
    pub(crate) certificate: Certificate,
    pub(crate) claims: Claims,
    signed: String,
    signature: Signature,
}

/// What [`check`] found, to be believed once the two signatures hold.
#[derive(Debug)]
pub(crate) struct Vouched {
    pub(crate) claims: Claims,
    /// The device that signed.
    pub(crate) instance: Instance,
    /// A super node signed for a phone.
    pub(crate) bridged: bool,
    /// What must not be seen twice.
    pub(crate) signed: String,
}

/// The name of a token: the Call-ID it serves for, and a number that makes it unique.
pub(crate) fn request_name(call_id: &str, number: u64) -> String {
    filled("%/%", &[call_id, &digits(number)])
}

/// Writes what is to be signed.
pub(crate) fn signing_input(claims: &Claims, certificate: &[u8]) -> String {
    let mut encoded = String::new();
    base64::write_plain(certificate, &mut encoded);
    let header = filled(
        r#"{"alg":"ES256","typ":"passport","x5c":["%"]}"#,
        &[&encoded],
    );

    let mut payload = filled(
        r#"{"dest":{"uri":["%"]},"iat":%,"jti":"%","mky":["#,
        &[
            &json::escaped(&claims.dest),
            &digits(claims.iat),
            &json::escaped(&claims.request),
        ],
    );
    let mut comma = "";
    for one in &claims.fingerprints {
        let values = [comma, &one.algorithm, &one.plain_digits()];
        fill(&mut payload, r#"%{"alg":"%","dig":"%"}"#, &values);
        comma = ",";
    }
    fill(
        &mut payload,
        r#"],"orig":{"uri":"%"}"#,
        &[&json::escaped(&claims.orig)],
    );
    if let Some(name) = &claims.name {
        fill(
            &mut payload,
            r#","rcd":{"nam":"%"}"#,
            &[&json::escaped(name)],
        );
    }
    payload.push('}');

    let mut input = String::new();
    base64::write_url(header.as_bytes(), &mut input);
    input.push('.');
    base64::write_url(payload.as_bytes(), &mut input);
    input
}

/// Puts the header's value together.
pub(crate) fn write(input: &str, signature: &Signature, orig: &str) -> String {
    let mut value = String::from(input);
    value.push('.');
    base64::write_url(signature.as_bytes(), &mut value);
    value.push_str(&parameters(orig));
    value
}

fn parameters(orig: &str) -> String {
    filled(";info=<%>;alg=ES256", &[orig])
}

/// Reads a header's value, without judging what it claims.
pub(crate) fn read(value: &str) -> Result<Presented, IdentityError> {
    use IdentityError::{Invalid, Unreadable};
    if value.len() > MAXIMUM {
        return Err(Invalid);
    }
    let (token, rest) = value.split_at(value.find(';').ok_or(Invalid)?);
    let (signed, signature) = token.rsplit_once('.').ok_or(Invalid)?;
    let (header, payload) = signed.split_once('.').ok_or(Invalid)?;
    let signature = base64::read_url(signature).ok_or(Invalid)?;
    let signature = Signature::from_slice(&signature).ok_or(Invalid)?;
    let (header, payload) = (text(header).ok_or(Invalid)?, text(payload).ok_or(Invalid)?);
    let leaf = read_header(&header).ok_or(Invalid)?;
    let claims = read_claims(&payload).ok_or(Invalid)?;
    if rest != parameters(&claims.orig) {
        return Err(Invalid);
    }
    let leaf = base64::read_plain(&leaf).ok_or(Unreadable)?;
    Ok(Presented {
        certificate: Certificate::read(&leaf).map_err(|_| Unreadable)?,
        claims,
        signed: signed.into(),
        signature,
    })
}

fn text(encoded: &str) -> Option<String> {
    String::from_utf8(base64::read_url(encoded)?).ok()
}

/// Reads the certificate out of a header.
fn read_header(header: &str) -> Option<String> {
    let mut json = Reader(header);
    let leaf = json.string(r#"{"alg":"ES256","typ":"passport","x5c":["#, "]}")?;
    json.0.is_empty().then_some(leaf)
}

fn read_claims(payload: &str) -> Option<Claims> {
    let mut json = Reader(payload);
    let dest = json.string(r#"{"dest":{"uri":["#, r#"]},"iat":"#)?;
    let iat = json.number()?;
    let request = json.string(r#","jti":"#, r#","mky":["#)?;
    let mut fingerprints = Vec::new();
    loop {
        let algorithm = json.string(r#"{"alg":"#, r#","dig":"#)?;
        let digits = json.string("", "}")?;
        sdp::include(
            &mut fingerprints,
            Fingerprint::read_plain(&algorithm, &digits)?,
        );
        if json.eat(",").is_none() {
            break;
        }
    }
    let orig = json.string(r#"],"orig":{"uri":"#, "}")?;
    let name = json.string(r#","rcd":{"nam":"#, "}");
    // What later versions may claim has later names.
    let ends = json.0.ends_with('}') && (json.0.len() == 1 || json.0.starts_with(",\""));
    ends.then_some(Claims {
        orig,
        dest,
        iat,
        request,
        fingerprints,
        name: name
            .map(|name| clean(&name))
            .filter(|name| !name.is_empty()),
    })
}

/// A name as it may be shown: bounded, without control characters and without marks that turn the direction of text.
fn clean(name: &str) -> String {
    let hidden = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
    };
    let mut text = String::new();
    for character in name.chars().filter(|c| !hidden(*c)) {
        if text.len() + character.len_utf8() > MAXIMUM_NAME {
            break;
        }
        text.push(character);
    }
    String::from(text.trim())
}

/// Reads the Identity of a request and makes every check but the two signatures, that of the certificate's issuer and the
/// caller's own: caller, callee, request, keys, date, certificate. `wall` is in milliseconds.
pub(crate) fn check(
    request: &Message,
    description: &Description<'_>,
    anchor: &TrustAnchor,
    revocations: &RevocationList,
    wall: u64,
) -> Result<(Vouched, [Check; 2]), IdentityError> {
    let value = request.field(Name::Identity);
    let presented = read(value.ok_or(IdentityError::Missing)?)?;
    let (certificate, claims) = (presented.certificate, presented.claims);
    if (wall / 1000).abs_diff(claims.iat) > FRESH {
        return Err(IdentityError::Stale);
    }
    let names = |address: Option<crate::header::Address<'_>>, claim: &str| {
        let uri = address.and_then(|address| Uri::read(address.uri).ok());
        uri.is_some_and(|uri| uri.address_of_record() == claim)
    };
    let call = claims.request.rsplit_once('/').map(|(call, _)| call);
    let same = names(request.from(), &claims.orig)
        && names(request.to(), &claims.dest)
        && call == Some(request.call_id())
        && !claims.fingerprints.is_empty()
        && description.fingerprints() == claims.fingerprints
        && description.check(&claims.fingerprints).is_ok();
    let user = certificate.user().filter(|(uri, _)| *uri == claims.orig);
    let Some((_, instance)) = user.filter(|_| same) else {
        return Err(IdentityError::Mismatch);
    };
    let issued = anchor.admit(&certificate, wall, revocations);
    let issued = issued.map_err(IdentityError::Credential)?;
    let signed = Check {
        key: certificate.public_key(),
        message: presented.signed.as_bytes().to_vec(),
        signature: presented.signature,
    };
    let vouched = Vouched {
        claims,
        instance,
        bridged: certificate.registrar().is_some(),
        signed: presented.signed,
    };
    Ok((vouched, [issued, signed]))
}

#[cfg(test)]
mod tests;
