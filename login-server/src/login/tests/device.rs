use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use credential::{Certificate, PublicKey};
use ring::digest::{SHA256, digest};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};

use super::stage::PAGE;
use crate::store::{hex, random, secret};
use crate::wire::{self, Credential, EnrolRenewRequest, Enrolment, RenewRequest, RevokeRequest};

/// A browser's or node's key pair, and what a page remembers while its user signs in.
pub(crate) struct Device {
    pair: EcdsaKeyPair,
    pub(crate) instance: String,
    pub(crate) verifier: String,
    pub(crate) state: String,
}

impl Device {
    pub(crate) fn new() -> Self {
        let document =
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new())
                .unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(
            &ECDSA_P256_SHA256_FIXED_SIGNING,
            document.as_ref(),
            &SystemRandom::new(),
        );
        let digits = hex(&random::<16>());
        let groups = [
            &digits[..8],
            &digits[8..12],
            &digits[12..16],
            &digits[16..20],
            &digits[20..],
        ];
        Self {
            pair: pair.unwrap(),
            instance: groups.join("-"),
            verifier: secret(),
            state: secret(),
        }
    }

    pub(crate) fn key(&self) -> PublicKey {
        PublicKey::from_point(self.pair.public_key().as_ref()).unwrap()
    }

    pub(crate) fn public_key(&self) -> String {
        BASE64_STANDARD.encode(self.key().to_spki())
    }

    pub(crate) fn sign(&self, text: &str) -> String {
        BASE64_STANDARD.encode(
            self.pair
                .sign(&SystemRandom::new(), text.as_bytes())
                .unwrap(),
        )
    }

    /// The parameters with which the page sends its user here.
    pub(crate) fn parameters(&self) -> Vec<(&'static str, String)> {
        let challenge = BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, self.verifier.as_bytes()));
        vec![
            ("response_type", "code".into()),
            ("client_id", "page".into()),
            ("redirect_uri", format!("{PAGE}/")),
            ("state", self.state.clone()),
            ("code_challenge", challenge),
            ("code_challenge_method", "S256".into()),
            ("public_key", self.public_key()),
            ("instance", self.instance.clone()),
        ]
    }

    /// The address at which the page's user signs in.
    pub(crate) fn authorize(&self) -> String {
        address("/authorize", &self.parameters())
    }

    /// The same with a parameter changed, or left out.
    pub(crate) fn authorize_but(&self, name: &'static str, value: Option<&str>) -> String {
        let mut parameters = self.parameters();
        parameters.retain(|(other, _)| *other != name);
        parameters.extend(value.map(|value| (name, value.to_owned())));
        address("/authorize", &parameters)
    }

    pub(crate) fn renewal(
        &self,
        credential: &Credential,
        next: &Device,
        timestamp: u64,
    ) -> RenewRequest {
        let public_key = next.public_key();
        let text = wire::renew_text(&credential.overlay, timestamp, &public_key);
        let certificate = credential.certificate.clone();
        RenewRequest {
            certificate,
            public_key,
            timestamp,
            signature: self.sign(&text),
        }
    }

    pub(crate) fn revocation(&self, credential: &Credential, timestamp: u64) -> RevokeRequest {
        RevokeRequest {
            certificate: credential.certificate.clone(),
            timestamp,
            signature: self.sign(&wire::revoke_text(&credential.overlay, timestamp)),
        }
    }

    pub(crate) fn enrol_renewal(
        &self,
        enrolment: &Enrolment,
        name: &str,
        timestamp: u64,
    ) -> EnrolRenewRequest {
        let (public_key, quic, names) = (
            self.public_key(),
            "192.0.2.1:4433".to_owned(),
            vec![name.to_owned()],
        );
        let text =
            wire::enrol_renew_text(&enrolment.overlay, timestamp, &public_key, &quic, &names);
        let (certificate, signature) = (enrolment.certificate.clone(), self.sign(&text));
        EnrolRenewRequest {
            certificate,
            public_key,
            names,
            quic,
            timestamp,
            signature,
        }
    }
}

pub(crate) fn address(path: &str, parameters: &[(&str, String)]) -> String {
    let query = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(parameters)
        .finish();
    format!("{path}?{query}")
}

pub(crate) fn certificate(base64: &str) -> Certificate {
    Certificate::read(&BASE64_STANDARD.decode(base64).unwrap()).unwrap()
}
