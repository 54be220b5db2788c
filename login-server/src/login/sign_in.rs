//! Signing in and creating accounts.

use hyper::{Response, StatusCode, header};

use super::entry::Entry;
use super::session::{self, Known, Session};
use super::{AccountError, LoginServer, Trouble, retry_after};
use crate::http::{self, Body};
use crate::limit::{Class, address};
use crate::page::Complaint;
use crate::password::Busy;
use crate::store::NameTaken;
use crate::{name, password};

/// One sentence for a wrong name and a wrong password alike: nobody learns which names there are.
const WRONG: &str = "The name or the password is wrong.";

impl LoginServer {
    pub(super) async fn sign_in(&self, entry: &Entry<'_>) -> Result<Response<Body>, Trouble> {
        let typed = entry.fields.first("name");
        let name = name::tidy(typed, &self.config.domain);
        if name.is_empty() || entry.fields.first("password").is_empty() {
            let missing = [
                ("name", name.is_empty(), "Enter your name."),
                (
                    "password",
                    entry.fields.first("password").is_empty(),
                    "Enter your password.",
                ),
            ];
            let complaints: Vec<_> = missing
                .into_iter()
                .filter(|(_, missing, _)| *missing)
                .map(|(field, _, sentence)| Complaint::new(field, sentence))
                .collect();
            return Ok(self.show_sign_in(
                entry,
                typed,
                &complaints,
                StatusCode::UNPROCESSABLE_ENTITY,
            ));
        }
        let limits = self.config.limits;
        let browser = self.counted_as(entry, &name).await?;
        let counted = self
            .limit(
                Class::SignIn,
                address(entry.call.peer),
                limits.sign_in,
                entry.now,
            )
            .and_then(|()| self.limit(Class::Account, &browser, limits.account, entry.now));
        let tried = match counted {
            Ok(()) => {
                self.try_password(&name, entry.fields.first("password"))
                    .await
            }
            Err(trouble) => Err(trouble),
        };
        match tried {
            Ok(true) => self.admit(entry, &name).await,
            Ok(false) => {
                let complaints = [Complaint::new("password", WRONG)];
                Ok(self.show_sign_in(entry, typed, &complaints, StatusCode::UNPROCESSABLE_ENTITY))
            }
            Err(trouble @ (Trouble::Wait(_) | Trouble::Busy)) => {
                let (status, wait, sentence) = trouble.explain();
                let complaints = [Complaint::new("", sentence)];
                Ok(retry_after(
                    self.show_sign_in(entry, typed, &complaints, status),
                    wait,
                ))
            }
            Err(trouble) => Err(trouble),
        }
    }

    pub(super) async fn create_account(
        &self,
        entry: &Entry<'_>,
    ) -> Result<Response<Body>, Trouble> {
        let typed = entry.fields.first("name");
        let unhappy =
            |complaints: &[Complaint], status| self.show_create(entry, typed, complaints, status);
        let name = name::tidy(typed, &self.config.domain);
        let password = entry.fields.first("password");
        let mut complaints = Vec::new();
        if let Err(fault) = name::check(&name) {
            complaints.push(Complaint::new("name", fault.sentence()));
        }
        if let Err(fault) = password::check(password, &name) {
            complaints.push(Complaint::new("password", fault.sentence()));
        } else if entry.fields.contains("repeat") && entry.fields.first("repeat") != password {
            complaints.push(Complaint::new("repeat", "The two passwords differ."));
        }
        if !complaints.is_empty() {
            return Ok(unhappy(&complaints, StatusCode::UNPROCESSABLE_ENTITY));
        }
        let hashed = match self.limit(
            Class::Create,
            address(entry.call.peer),
            self.config.limits.create,
            entry.now,
        ) {
            Ok(()) => self
                .passwords
                .hash(password.into())
                .await
                .map_err(Trouble::from),
            Err(trouble) => Err(trouble),
        };
        let hash = match hashed {
            Ok(hash) => hash,
            Err(trouble) => {
                let (status, wait, sentence) = trouble.explain();
                return Ok(retry_after(
                    unhappy(&[Complaint::new("", sentence)], status),
                    wait,
                ));
            }
        };
        match self
            .store
            .create_user(&name, &hash, entry.now as i64)
            .await?
        {
            Ok(()) => {
                tracing::info!(%name, "account created");
                self.admit(entry, &name).await
            }
            Err(NameTaken) => {
                let complaint = Complaint::new(
                    "name",
                    "Somebody has this name already. Choose another one.",
                );
                Ok(unhappy(&[complaint], StatusCode::CONFLICT))
            }
        }
    }

    /// Makes an account, as the operator does it: no limit counts.
    ///
    /// # Errors
    /// The name or the password can't be had, or the database can't keep it.
    pub async fn create_user(&self, name: &str, password: &str) -> Result<(), AccountError> {
        let name = name::tidy(name, &self.config.domain);
        name::check(&name).map_err(|fault| AccountError::Name(fault.sentence()))?;
        password::check(password, &name)
            .map_err(|fault| AccountError::Password(fault.sentence()))?;
        let hash = self
            .passwords
            .hash(password.into())
            .await
            .map_err(|Busy| AccountError::Busy)?;
        let now = self.clock.now() as i64;
        match self.store.create_user(&name, &hash, now).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(NameTaken)) => Err(AccountError::Taken),
            Err(error) => Err(AccountError::Storage(error.into())),
        }
    }

    /// Whom a try at this account counts against: all strangers together, or a browser that its owner has used.
    async fn counted_as(&self, entry: &Entry<'_>, name: &str) -> Result<String, Trouble> {
        if let Some(known) = Known::of(entry.call, &self.origin) {
            let hash = known.hash();
            if self.store.is_known(&hash, name).await? {
                return Ok(hash);
            }
        }
        Ok(name.into())
    }

    /// Whether the password is that user's. Costs one hash, whether or not there is such a user.
    pub(super) async fn try_password(&self, name: &str, password: &str) -> Result<bool, Trouble> {
        let identity = self.store.identity(name).await?;
        let known = identity.and_then(|identity| identity.password);
        Ok(self.passwords.verify(password.into(), known).await?)
    }

    /// Signs a browser in: with a new session, so that nobody who knew the old one is signed in, too.
    async fn admit(&self, entry: &Entry<'_>, name: &str) -> Result<Response<Body>, Trouble> {
        let session = Session::new(Some(name.into()));
        let stale = entry
            .now
            .saturating_sub(self.config.lifetimes.session * 1_000);
        self.store.close_session(&entry.session.hash()).await?;
        self.store
            .open_session(&session.hash(), name, entry.now as i64, stale as i64)
            .await?;
        let known = Known::of(entry.call, &self.origin).unwrap_or_else(Known::new);
        let stale = entry.now.saturating_sub(session::KNOWN * 1_000);
        self.store
            .know_browser(&known.hash(), name, entry.now as i64, stale as i64)
            .await?;
        let response = match &entry.request {
            Some(request) => self.grant(request, name, entry.now).await?,
            None => http::see_other("/account"),
        };
        let cookie = known.set_cookie(&self.origin);
        Ok(http::with(
            self.hand(response, &session),
            header::SET_COOKIE,
            &cookie,
        ))
    }
}
