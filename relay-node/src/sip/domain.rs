//! TLS to the server of another domain: it must show a certificate of that domain (RFC 5922).
//!
//! What counts are `URI:sip:example.net` entries, `DNS:example.net` entries where there are none of these (section 7.1), each whole:
//! a wildcard names nobody (section 7.2), and neither does the common name.

use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{
    WebPkiServerVerifier, verify_server_cert_signed_by_trust_anchor, verify_server_name,
};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
};

use crate::tls::{self, TlsError};

/// TLS towards servers of other domains, by the system's authorities and those in `trust` (PEM).
pub(super) fn client(trust: Option<&Path>) -> Result<Arc<ClientConfig>, TlsError> {
    let wrong = |error| TlsError::Pair(trust.map(Path::to_owned).unwrap_or_default(), error);
    let mut roots = tls::roots(trust)?;
    let builder = ClientConfig::builder_with_provider(tls::provider())
        .with_safe_default_protocol_versions()
        .map_err(wrong)?;
    if roots.is_empty() {
        // A machine without authorities believes nobody.
        roots = RootCertStore::empty();
        return Ok(Arc::new(
            builder.with_root_certificates(roots).with_no_client_auth(),
        ));
    }
    let roots = Arc::new(roots);
    let usual = WebPkiServerVerifier::builder_with_provider(roots.clone(), tls::provider())
        .build()
        .map_err(|error| wrong(rustls::Error::General(error.to_string())))?;
    let verifier = Arc::new(Domains { roots, usual });
    let config = builder
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

#[derive(Debug)]
struct Domains {
    roots: Arc<RootCertStore>,
    /// For all but the name.
    usual: Arc<WebPkiServerVerifier>,
}

impl ServerCertVerifier for Domains {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let certificate = ParsedCertificate::try_from(end_entity)?;
        let algorithms = tls::provider().signature_verification_algorithms.all;
        verify_server_cert_signed_by_trust_anchor(
            &certificate,
            &self.roots,
            intermediates,
            now,
            algorithms,
        )?;
        let ServerName::DnsName(domain) = server_name else {
            verify_server_name(&certificate, server_name)?;
            return Ok(ServerCertVerified::assertion());
        };
        if names(end_entity, domain.as_ref()) {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(CertificateError::NotValidForName.into())
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.usual
            .verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.usual
            .verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.usual.supported_verify_schemes()
    }
}

/// Says whether a certificate is of this domain.
fn names(certificate: &[u8], domain: &str) -> bool {
    let all = alternative_names(certificate).unwrap_or_default();
    let sip = |name: &Alternative<'_>| match name {
        Alternative::Uri(uri) => uri.get(..4).is_some_and(|s| s.eq_ignore_ascii_case("sip:")),
        Alternative::Dns(_) => false,
    };
    let has_sip = all.iter().any(sip);
    all.iter().any(|name| match name {
        Alternative::Uri(uri) => sip(name) && uri[4..].eq_ignore_ascii_case(domain),
        Alternative::Dns(dns) => !has_sip && dns.eq_ignore_ascii_case(domain),
    })
}

/// An entry of a certificate's subjectAltName.
enum Alternative<'a> {
    Uri(&'a str),
    Dns(&'a str),
}

/// The entries of a certificate that rustls has parsed before: `None` if there are none.
fn alternative_names(certificate: &[u8]) -> Option<Vec<Alternative<'_>>> {
    const SEQUENCE: u8 = 0x30;
    const OCTETS: u8 = 0x04;
    const OBJECT: u8 = 0x06;
    const EXTENSIONS: u8 = 0xa3;
    const NAME: &[u8] = &[0x55, 0x1d, 0x11];
    let (_, whole, _) = element(certificate)?;
    let (_, mut body, _) = element(whole)?;
    let extensions = loop {
        let (tag, inside, rest) = element(body)?;
        if tag == EXTENSIONS {
            break inside;
        }
        body = rest;
    };
    let (_, mut extensions, _) = element(extensions)?;
    while let Some((SEQUENCE, inside, rest)) = element(extensions) {
        extensions = rest;
        let (tag, object, mut value) = element(inside)?;
        if tag != OBJECT || object != NAME {
            continue;
        }
        while let Some((tag, inside, rest)) = element(value) {
            if tag == OCTETS {
                let (_, mut entries, _) = element(inside)?;
                let mut found = Vec::new();
                while let Some((tag, entry, rest)) = element(entries) {
                    entries = rest;
                    match (tag, std::str::from_utf8(entry)) {
                        (0x86, Ok(uri)) => found.push(Alternative::Uri(uri)),
                        (0x82, Ok(dns)) => found.push(Alternative::Dns(dns)),
                        (_, _) => {}
                    }
                }
                return Some(found);
            }
            value = rest;
        }
    }
    None
}

/// Tag, contents and what follows.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x83 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            let fold = |length: usize, digit: &u8| length << 8 | usize::from(*digit);
            (digits.iter().fold(0, fold), rest)
        }
        _ => return None,
    };
    let (inside, rest) = rest.split_at_checked(length)?;
    Some((tag, inside, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::string::Ia5String;
    use rcgen::{CertificateParams, KeyPair, SanType};

    fn certificate(names: &[&str]) -> Vec<u8> {
        let mut params = CertificateParams::default();
        params.subject_alt_names = names
            .iter()
            .map(|name| {
                let text = Ia5String::try_from(*name).unwrap();
                if name.contains(':') {
                    SanType::URI(text)
                } else {
                    SanType::DnsName(text)
                }
            })
            .collect();
        let key = KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().der().to_vec()
    }

    #[test]
    fn a_certificate_is_of_the_domain_that_it_names_whole() {
        let dns = certificate(&["other.example", "example.org"]);
        assert!(names(&dns, "Example.ORG") && !names(&dns, "sip.example.org"));
        let wildcard = certificate(&["*.example.org"]);
        assert!(!names(&wildcard, "sip.example.org"), "RFC 5922, 7.2");
        let uri = certificate(&["sip:example.org", "example.net", "urn:x"]);
        assert!(names(&uri, "example.org"));
        assert!(
            !names(&uri, "example.net"),
            "where URIs name the domain, they alone do"
        );
        let user = certificate(&["sip:alice@example.org"]);
        assert!(!names(&user, "example.org"), "a user is not his domain");
        assert!(!names(&certificate(&[]), "example.org"));
        for cut in 0..uri.len() {
            names(&uri[..cut], "example.org");
        }
    }
}
