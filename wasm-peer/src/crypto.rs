//! Signatures by WebCrypto: ECDSA on P-256 with SHA-256, r and s side by side.

use core::cell::RefCell;
use js_sys::{Array, Object, Promise, Reflect, Uint8Array};
use p2psip::credential::{PublicKey, Sign, Signature, Signed, Verified, Verify};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

#[wasm_bindgen]
extern "C" {
    /// A WebCrypto key.
    #[derive(Debug, Clone)]
    pub type CryptoKey;

    #[wasm_bindgen(catch, js_namespace = ["crypto", "subtle"], js_name = sign)]
    fn subtle_sign(algorithm: &JsValue, key: &CryptoKey, data: &[u8]) -> Result<Promise, JsValue>;
    #[wasm_bindgen(catch, js_namespace = ["crypto", "subtle"], js_name = verify)]
    fn subtle_verify(
        algorithm: &JsValue,
        key: &CryptoKey,
        signature: &[u8],
        data: &[u8],
    ) -> Result<Promise, JsValue>;
    #[wasm_bindgen(catch, js_namespace = ["crypto", "subtle"], js_name = importKey)]
    fn subtle_import(
        format: &str,
        key: &[u8],
        algorithm: &JsValue,
        extractable: bool,
        usages: &Array,
    ) -> Result<Promise, JsValue>;
    #[wasm_bindgen(js_namespace = crypto, js_name = getRandomValues)]
    fn random_values(bytes: &mut [u8]);
}

/// Draws a seed from the browser's entropy.
pub(crate) fn seed() -> [u8; 32] {
    let mut seed = [0; 32];
    random_values(&mut seed);
    seed
}

/// Makes and checks signatures.
pub(crate) struct Crypto {
    own: CryptoKey,
    algorithm: JsValue,
    verify_usage: Array,
    /// Keys imported lately; the authority's is used all the time.
    imported: RefCell<Vec<(PublicKey, CryptoKey)>>,
}

impl Crypto {
    pub(crate) fn new(own: CryptoKey) -> Self {
        let algorithm = Object::new();
        for (name, value) in [
            ("name", "ECDSA"),
            ("namedCurve", "P-256"),
            ("hash", "SHA-256"),
        ] {
            // Setting a property of a fresh object does not fail.
            let _ = Reflect::set(&algorithm, &name.into(), &value.into());
        }
        Self {
            own,
            algorithm: algorithm.into(),
            verify_usage: Array::of1(&"verify".into()),
            imported: RefCell::default(),
        }
    }

    /// `None` if the key can't sign.
    pub(crate) async fn sign(&self, request: Sign) -> Option<Signed> {
        let promise = subtle_sign(&self.algorithm, &self.own, &request.message).ok()?;
        let bytes = Uint8Array::new(&JsFuture::from(promise).await.ok()?);
        let mut signature = [0; 64];
        if bytes.length() != 64 {
            return None;
        }
        bytes.copy_to(&mut signature);
        Some(Signed {
            job: request.job,
            signature: Signature(signature),
        })
    }

    /// Anything that can't be checked is not valid.
    pub(crate) async fn verify(&self, request: Verify) -> Verified {
        Verified {
            job: request.job,
            valid: self.is_valid(&request).await.unwrap_or(false),
        }
    }

    async fn is_valid(&self, request: &Verify) -> Option<bool> {
        let key = self.import(&request.key).await?;
        let promise = subtle_verify(
            &self.algorithm,
            &key,
            &request.signature.0,
            &request.message,
        )
        .ok()?;
        JsFuture::from(promise).await.ok()?.as_bool()
    }

    async fn import(&self, key: &PublicKey) -> Option<CryptoKey> {
        let known = self
            .imported
            .borrow()
            .iter()
            .find(|(known, _)| known == key)
            .map(|(_, key)| key.clone());
        if known.is_some() {
            return known;
        }
        let promise = subtle_import(
            "raw",
            &key.to_point(),
            &self.algorithm,
            false,
            &self.verify_usage,
        )
        .ok()?;
        let imported: CryptoKey = JsFuture::from(promise).await.ok()?.unchecked_into();
        let mut known = self.imported.borrow_mut();
        if known.len() >= REMEMBERED {
            known.truncate(1);
        }
        known.push((*key, imported.clone()));
        Some(imported)
    }
}

/// Imported keys kept at once. The first one is the authority's: it signed what is checked first of all.
const REMEMBERED: usize = 16;
