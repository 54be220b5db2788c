use alloc::vec::Vec;
use core::fmt;

use crate::{
    Certificate, CertificateError, Check, MemberStatement, OverlayId, PublicKey, RevocationList,
    Serial, Subject,
};

/// Why a credential does not count in an overlay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// It belongs to another overlay.
    Overlay,
    /// Another authority issued it.
    Issuer,
    /// It is the authority's own certificate, which is nobody's credential.
    Authority,
    /// Its time has not come.
    NotYetValid,
    /// Its time is over.
    Expired,
    /// The authority has taken it back.
    Revoked,
    /// It is a user's where a super node's is needed, or the reverse.
    Role,
    /// The authority did not sign it, or not this.
    Signature,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Overlay => "credential of another overlay",
            Self::Issuer => "credential of another authority",
            Self::Authority => "the authority's certificate is no credential",
            Self::NotYetValid => "credential not yet valid",
            Self::Expired => "credential expired",
            Self::Revoked => "credential revoked",
            Self::Role => "credential of the other role",
            Self::Signature => "credential not signed by the authority",
        })
    }
}

impl core::error::Error for Refusal {}

/// What an overlay's members trust: its authority's name and key.
///
/// It is pinned when the user signs in. Nothing in it is secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustAnchor {
    certificate: Certificate,
}

impl TrustAnchor {
    /// Reads the authority's own certificate, in DER.
    ///
    /// That it signed itself proves nothing and is not checked: who pins it trusts where it came from.
    ///
    /// # Errors
    /// The bytes are no certificate of the profile, or not an authority's ([`CertificateError::Role`]).
    pub fn read(der: &[u8]) -> Result<Self, CertificateError> {
        let certificate = Certificate::read(der)?;
        match certificate.subject() {
            Subject::Authority => Ok(Self { certificate }),
            Subject::User { .. } | Subject::SuperNode { .. } => Err(CertificateError::Role),
        }
    }

    /// The overlay whose authority this is.
    #[must_use]
    pub fn overlay(&self) -> OverlayId {
        self.certificate.overlay()
    }

    /// The authority's key.
    #[must_use]
    pub fn public_key(&self) -> PublicKey {
        self.certificate.public_key()
    }

    /// The authority's certificate.
    #[must_use]
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// Makes every cheap check of a credential and says which signature remains to be verified.
    ///
    /// `wall` is the date in milliseconds since 1970. There is no tolerance for wrong clocks: the authority dates
    /// what it issues back by an hour.
    ///
    /// # Errors
    /// The credential does not count, whatever its signature says.
    pub fn admit(
        &self,
        certificate: &Certificate,
        wall: u64,
        revocations: &RevocationList,
    ) -> Result<Check, Refusal> {
        if *certificate.subject() == Subject::Authority {
            return Err(Refusal::Authority);
        }
        if certificate.overlay() != self.overlay() {
            return Err(Refusal::Overlay);
        }
        if certificate.issuer_name() != self.certificate.subject_name() {
            return Err(Refusal::Issuer);
        }
        self.current(certificate.serial(), wall, revocations)?;
        within(certificate.not_before(), certificate.not_after(), wall)?;
        Ok(Check {
            key: self.public_key(),
            message: certificate.signed_part().to_vec(),
            signature: certificate.signature(),
        })
    }

    /// Makes every cheap check of a membership statement and says which signature remains to be verified.
    ///
    /// # Errors
    /// The statement does not count, whatever its signature says.
    pub fn admit_member(
        &self,
        statement: &MemberStatement,
        wall: u64,
        revocations: &RevocationList,
    ) -> Result<Check, Refusal> {
        self.current(statement.serial, wall, revocations)?;
        within(0, statement.not_after, wall)?;
        Ok(Check {
            key: self.public_key(),
            message: statement.message(self.overlay()),
            signature: statement.signature,
        })
    }

    /// Says which signature remains to be verified of a revocation list.
    ///
    /// # Errors
    /// The list is of another overlay.
    pub fn admit_revocations(&self, list: &RevocationList) -> Result<Check, Refusal> {
        if list.overlay() != self.overlay() {
            return Err(Refusal::Overlay);
        }
        let message: Vec<u8> = list.message();
        Ok(Check {
            key: self.public_key(),
            message,
            signature: list.signature(),
        })
    }

    fn current(
        &self,
        serial: Serial,
        wall: u64,
        revocations: &RevocationList,
    ) -> Result<(), Refusal> {
        within(
            self.certificate.not_before(),
            self.certificate.not_after(),
            wall,
        )?;
        if revocations.contains(serial) {
            return Err(Refusal::Revoked);
        }
        Ok(())
    }
}

fn within(not_before: u64, not_after: u64, wall: u64) -> Result<(), Refusal> {
    if wall < not_before {
        return Err(Refusal::NotYetValid);
    }
    if wall > not_after {
        return Err(Refusal::Expired);
    }
    Ok(())
}
