//! Credentials for users and guests: `POST /token`, `/guest`, `/renew`, `/revoke`.

use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use credential::{Instance, PublicKey, Refusal};
use hyper::{Response, StatusCode, header};
use ring::digest::{SHA256, digest};

use super::proved::{bad, forbid, refuse};
use super::{LoginServer, Trouble};
use crate::http::{self, Body, Call, Origin};
use crate::limit::Class;
use crate::store::{self, Enlist, NameTaken, Revoke};
use crate::wire::{
    self, Credential, GuestRequest, RenewRequest, RevokeRequest, Revoked, TokenRequest,
};
use crate::{name, proof};

impl LoginServer {
    /// Redeems an authorization code (RFC 6749 §4.1.3, RFC 7636 §4.6).
    ///
    /// A code that comes a second time is refused; what the first one got stays in force (RFC 6749 §4.1.2 would rather
    /// revoke it), since it certifies the key that was named before the password was typed and is no use to a thief.
    pub(super) async fn token(
        &self,
        call: &Call,
        page: Option<&Origin>,
        now: u64,
    ) -> Result<Response<Body>, Trouble> {
        let request: TokenRequest =
            self.request(call, Class::Credential, self.config.limits.credential, now)?;
        if request
            .grant_type
            .is_some_and(|kind| kind != "authorization_code")
        {
            let sentence = "Only an authorization code can be redeemed here.";
            return Err(bad("unsupported_grant_type", sentence));
        }
        // taken out whatever comes of it: nobody can try verifiers
        let code = self.store.take_code(&store::hash(&request.code)).await?;
        let Some(code) = code.filter(|code| code.expires >= now as i64) else {
            let sentence =
                "This sign-in has been used or is more than a minute old. Sign in again.";
            return Err(bad("invalid_grant", sentence));
        };
        let redirect = Origin::read(&code.redirect);
        let elsewhere = |origin: Option<Origin>| origin != redirect;
        if page.is_some_and(|page| Some(page) != redirect.as_ref())
            || request
                .redirect_uri
                .is_some_and(|uri| elsewhere(Origin::read(&uri)))
            || request.client_id.is_some_and(|client| client != "page")
        {
            return Err(bad(
                "invalid_grant",
                "This sign-in was begun by another page.",
            ));
        }
        let verifier = request.code_verifier.as_bytes();
        if !(43..=128).contains(&verifier.len())
            || BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier)) != code.challenge
        {
            return Err(bad(
                "invalid_grant",
                "This sign-in was begun by another browser or tab.",
            ));
        }
        let (Some(key), Ok(instance)) =
            (proof::public_key(&code.public_key), code.instance.parse())
        else {
            return Err(bad("invalid_grant", "This sign-in names no device."));
        };
        let since = now.saturating_sub(self.config.lifetimes.user * 1_000);
        let device = self
            .store
            .enlist(
                &code.owner,
                &code.instance,
                &label(call),
                now as i64,
                since as i64,
            )
            .await?;
        let Enlist::Device(device) = device else {
            let sentence = "This account is signed in on as many devices as it may have. Sign out on another one first.";
            return Err(forbid("too_many_devices", sentence));
        };
        let not_after = now.saturating_add(self.config.lifetimes.user * 1_000);
        self.certify(&code.owner, false, &device, key, instance, now, not_after)
            .await
    }

    /// Makes a guest.
    pub(super) async fn guest(&self, call: &Call, now: u64) -> Result<Response<Body>, Trouble> {
        if !self.config.guests {
            let sentence = "This network takes no guests. Sign in or create an account.";
            return Err(forbid("no_guests", sentence));
        }
        let request: GuestRequest =
            self.request(call, Class::Guest, self.config.limits.guest, now)?;
        let Some(key) = proof::public_key(&request.public_key) else {
            return Err(bad("invalid_request", "The public key is no P-256 key."));
        };
        let Ok(instance) = request.instance.parse::<Instance>() else {
            return Err(bad("invalid_request", "The instance is no UUID."));
        };
        let ends = now.saturating_add(self.config.lifetimes.guest_limit * 1_000);
        let mut name = name::guest(request.name.as_deref());
        let mut made = self
            .store
            .create_guest(&name, now as i64, ends as i64)
            .await?;
        for _ in 0..8 {
            if made == Err(NameTaken) {
                name = name::guest(request.name.as_deref());
                made = self
                    .store
                    .create_guest(&name, now as i64, ends as i64)
                    .await?;
            }
        }
        if made == Err(NameTaken) {
            return Err(Trouble::Busy);
        }
        let device = self
            .store
            .enlist(&name, &instance.to_string(), &label(call), now as i64, 0)
            .await?;
        let Enlist::Device(device) = device else {
            return Err(Trouble::Busy);
        };
        let not_after = now
            .saturating_add(self.config.lifetimes.guest * 1_000)
            .min(ends);
        self.certify(&name, true, &device, key, instance, now, not_after)
            .await
    }

    /// Gives a device its next certificate, asked for with the current key.
    pub(super) async fn renew(&self, call: &Call, now: u64) -> Result<Response<Body>, Trouble> {
        let request: RenewRequest =
            self.request(call, Class::Credential, self.config.limits.credential, now)?;
        let text = wire::renew_text(&self.overlay(), request.timestamp, &request.public_key);
        let (owner, instance, serial) = self
            .prove_user(
                &request.certificate,
                &text,
                request.timestamp,
                &request.signature,
                now,
            )
            .await?;
        let Some(key) = proof::public_key(&request.public_key) else {
            return Err(bad("invalid_request", "The public key is no P-256 key."));
        };
        let identity = self.store.identity(&owner).await?;
        let device = self.store.device(&owner, &instance.to_string()).await?;
        let (Some(identity), Some(device)) =
            (identity, device.filter(|device| device.revoked.is_none()))
        else {
            return Err(refuse(Refusal::Revoked));
        };
        if !self.store.is_good(serial).await? {
            return Err(refuse(Refusal::Revoked));
        }
        let guest = identity.guest != 0;
        if identity.ends <= now as i64 {
            let sentence =
                "A guest's time is limited. Start again as another guest, or create an account.";
            return Err(forbid("guest_over", sentence));
        }
        if !self
            .store
            .stamp_device(&device.id, request.timestamp as i64, now as i64)
            .await?
        {
            let sentence = "This request has been answered before.";
            return Err(forbid("replayed", sentence));
        }
        let lifetime = if guest {
            self.config.lifetimes.guest
        } else {
            self.config.lifetimes.user
        };
        let not_after = now
            .saturating_add(lifetime * 1_000)
            .min(identity.ends as u64);
        self.certify(&owner, guest, &device.id, key, instance, now, not_after)
            .await
    }

    /// Signs a device out for good, at its own word: its certificates are revoked.
    pub(super) async fn revoke_device(
        &self,
        call: &Call,
        now: u64,
    ) -> Result<Response<Body>, Trouble> {
        let request: RevokeRequest =
            self.request(call, Class::Credential, self.config.limits.credential, now)?;
        let text = wire::revoke_text(&self.overlay(), request.timestamp);
        let (owner, instance, _) = self
            .prove_user(
                &request.certificate,
                &text,
                request.timestamp,
                &request.signature,
                now,
            )
            .await?;
        if let Some(device) = self.store.device(&owner, &instance.to_string()).await? {
            let (owner, id) = (&*owner, &*device.id);
            let whose = Revoke::Device { owner, id };
            self.store
                .revoke(whose, &self.authority, now as i64)
                .await?;
            tracing::info!(owner, "device signed out");
        }
        Ok(http::json(StatusCode::OK, &Revoked {}))
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "a certificate says as many things"
    )]
    async fn certify(
        &self,
        name: &str,
        guest: bool,
        device: &str,
        key: PublicKey,
        instance: Instance,
        now: u64,
        not_after: u64,
    ) -> Result<Response<Body>, Trouble> {
        let uri = format!("sip:{name}@{}", self.config.domain);
        let certificate = self
            .authority
            .certify_user(key, &uri, instance, now, not_after)?;
        let expires = certificate.not_after();
        self.store
            .keep_certificate(certificate.serial(), device, now as i64, expires as i64)
            .await?;
        tracing::info!(%uri, serial = %certificate.serial(), "certificate issued");
        let answer = Credential {
            uri,
            name: name.into(),
            guest,
            certificate: BASE64_STANDARD.encode(certificate.der()),
            root: BASE64_STANDARD.encode(self.root()),
            overlay: self.overlay(),
            domain: self.config.domain.clone(),
            expires,
        };
        Ok(http::json(StatusCode::OK, &answer))
    }
}

/// What the browser says it is, as people call it.
fn label(call: &Call) -> String {
    let agent = call.header(header::USER_AGENT).unwrap_or_default();
    let find = |known: &[(&str, &'static str)]| {
        known
            .iter()
            .find(|(mark, _)| agent.contains(mark))
            .map(|(_, name)| *name)
    };
    // the order matters: most browsers name others, too
    let browser = find(&[
        ("Edg", "Edge"),
        ("OPR/", "Opera"),
        ("Firefox/", "Firefox"),
        ("FxiOS/", "Firefox"),
        ("HeadlessChrome/", "Chrome"),
        ("Chrome/", "Chrome"),
        ("CriOS/", "Chrome"),
        ("Safari/", "Safari"),
    ]);
    let system = find(&[
        ("Android", "Android"),
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Windows", "Windows"),
        ("Mac OS X", "Mac"),
        ("CrOS", "ChromeOS"),
        ("Linux", "Linux"),
    ]);
    match (browser, system) {
        (Some(browser), Some(system)) => format!("{browser} on {system}"),
        (Some(name), None) | (None, Some(name)) => name.into(),
        (None, None) => "Unknown device".into(),
    }
}
