//! Checks of certificates and signatures that came in a request.

use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use credential::{Certificate, Check, PublicKey, Refusal, RevocationList, Signature, TrustAnchor};
use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};

/// How far a signed request's time stamp may lie from the server's time, in milliseconds.
pub(crate) const SKEW: u64 = 10 * 60 * 1_000;

/// Reads a certificate of a request and makes every check of it, the authority's signature included.
pub(crate) fn admit(
    anchor: &TrustAnchor,
    certificate: &str,
    revocations: &RevocationList,
    now: u64,
) -> Result<Certificate, Refusal> {
    let der = BASE64_STANDARD
        .decode(certificate)
        .map_err(|_| Refusal::Signature)?;
    let certificate = Certificate::read(&der).map_err(|_| Refusal::Signature)?;
    let check = anchor.admit(&certificate, now, revocations)?;
    if !holds(&check) {
        return Err(Refusal::Signature);
    }
    Ok(certificate)
}

/// Whether `signature`, base64 of raw `r‖s`, is the key's over the text.
pub(crate) fn is_signed(key: PublicKey, text: &str, signature: &str) -> bool {
    let signature = BASE64_STANDARD.decode(signature).ok();
    let signature = signature.as_deref().and_then(Signature::from_slice);
    signature.is_some_and(|signature| {
        holds(&Check {
            key,
            message: text.as_bytes().to_vec(),
            signature,
        })
    })
}

/// Reads a P-256 key from a SubjectPublicKeyInfo in base64; a point that is not on the curve is no key.
pub(crate) fn public_key(text: &str) -> Option<PublicKey> {
    let plain = text
        .trim_end_matches('=')
        .replace('+', "-")
        .replace('/', "_");
    let key = PublicKey::from_spki(&BASE64_URL_SAFE_NO_PAD.decode(plain).ok()?)?;
    (PublicKey::from_compressed(&key.compressed()) == Some(key)).then_some(key)
}

/// Whether a time stamp is about now.
pub(crate) fn is_recent(timestamp: u64, now: u64) -> bool {
    timestamp.abs_diff(now) <= SKEW
}

/// Whether a signature is the key's over the message.
pub(crate) fn holds(check: &Check) -> bool {
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, check.key.to_point())
        .verify(&check.message, &check.signature.0)
        .is_ok()
}
