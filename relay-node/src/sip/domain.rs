//! TLS to the server of another domain: it must show a certificate of that domain (RFC 5922).
//!
//! What counts are `URI:sip:example.net` entries, `DNS:example.net` entries where there are none of these (section 7.1), each whole:
//! a wildcard names nobody (section 7.2), and neither does the common name.

use std::path::Path;
use std::sync::Arc;

use rustls::client::{
    WebPkiServerVerifier, verify_server_cert_signed_by_trust_anchor, verify_server_name,
};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, RootCertStore};
use webpki::EndEntityCert;

use crate::tls::{self, Judge, Judged, Shown, TlsError};

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
    let judge = Domains(roots);
    let verifier = Arc::new(Judged { judge, usual });
    let config = builder
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

#[derive(Debug)]
struct Domains(Arc<RootCertStore>);

impl Judge for Domains {
    fn judge(&self, shown: &Shown<'_>, _: &WebPkiServerVerifier) -> Result<(), rustls::Error> {
        let certificate = ParsedCertificate::try_from(shown.end_entity)?;
        let algorithms = tls::provider().signature_verification_algorithms.all;
        verify_server_cert_signed_by_trust_anchor(
            &certificate,
            &self.0,
            shown.intermediates,
            shown.now,
            algorithms,
        )?;
        match shown.name {
            ServerName::DnsName(domain) if names(shown.end_entity, domain.as_ref()) => Ok(()),
            ServerName::DnsName(_) => Err(CertificateError::NotValidForName.into()),
            name => verify_server_name(&certificate, name),
        }
    }
}

/// Says whether a certificate is of this domain.
fn names(certificate: &CertificateDer<'_>, domain: &str) -> bool {
    let Ok(certificate) = EndEntityCert::try_from(certificate) else {
        return false;
    };
    let is_sip = |uri: &&str| uri.get(..4).is_some_and(|s| s.eq_ignore_ascii_case("sip:"));
    let mut uris = certificate.valid_uri_names().filter(is_sip).peekable();
    if uris.peek().is_some() {
        return uris.any(|uri| uri[4..].eq_ignore_ascii_case(domain));
    }
    let mut hosts = certificate.valid_dns_names();
    hosts.any(|host| host.eq_ignore_ascii_case(domain))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::string::Ia5String;
    use rcgen::{CertificateParams, KeyPair, SanType};

    fn certificate(names: &[&str]) -> CertificateDer<'static> {
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
        params.self_signed(&key).unwrap().der().clone()
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
            assert!(!names(&CertificateDer::from(&uri[..cut]), "example.org"));
        }
    }
}
