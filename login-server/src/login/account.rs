//! The account page and what can be done at it.

use hyper::{Response, StatusCode};

use super::session::Session;
use super::{LoginServer, Trouble, retry_after};
use crate::http::{self, Body, Call, Fields};
use crate::limit::Class;
use crate::page::{self, Account, Complaint, Done, Frame};
use crate::password;
use crate::store::Revoke;

impl LoginServer {
    pub(super) async fn account_page(
        &self,
        call: &Call,
        fields: &Fields,
        session: &Session,
        now: u64,
    ) -> Result<Response<Body>, Trouble> {
        let Some(owner) = session.owner() else {
            return Ok(self.hand(http::see_other("/sign-in"), session));
        };
        match call.path.as_str() {
            "/sign-out" => {
                self.store.close_session(&session.hash()).await?;
                Ok(http::see_other("/sign-in?done=signed-out"))
            }
            "/account/sign-out-everywhere" => {
                self.store
                    .revoke(Revoke::Everything { owner }, &self.authority, now as i64)
                    .await?;
                self.store.close_sessions(owner, "").await?;
                self.store.forget_browsers(owner).await?;
                tracing::info!(%owner, "signed out everywhere");
                Ok(http::see_other("/sign-in?done=everywhere"))
            }
            "/account/devices/revoke" => {
                let id = fields.first("device");
                self.store
                    .revoke(Revoke::Device { owner, id }, &self.authority, now as i64)
                    .await?;
                Ok(done(Done::Device))
            }
            "/account/password" => self.change_password(fields, session, owner, now).await,
            _ => {
                let done = Done::of(fields.first("done"));
                self.show_account(session, owner, &[], done, now, StatusCode::OK)
                    .await
            }
        }
    }

    async fn change_password(
        &self,
        fields: &Fields,
        session: &Session,
        owner: &str,
        now: u64,
    ) -> Result<Response<Body>, Trouble> {
        let new = fields.first("password");
        let mut complaints = Vec::new();
        if let Err(fault) = password::check(new, owner) {
            complaints.push(Complaint::new("password", fault.sentence()));
        } else if fields.contains("repeat") && fields.first("repeat") != new {
            complaints.push(Complaint::new("repeat", "The two passwords differ."));
        }
        if complaints.is_empty() {
            match self
                .replace_password(&session.hash(), fields.first("current"), new, owner, now)
                .await
            {
                Ok(true) => {}
                Ok(false) => complaints.push(Complaint::new(
                    "current",
                    "This is not your current password.",
                )),
                Err(trouble @ (Trouble::Wait(_) | Trouble::Busy)) => {
                    let (status, wait, sentence) = trouble.explain();
                    let complaints = [Complaint::new("current", sentence)];
                    let shown = self
                        .show_account(session, owner, &complaints, None, now, status)
                        .await?;
                    return Ok(retry_after(shown, wait));
                }
                Err(trouble) => return Err(trouble),
            }
        }
        if !complaints.is_empty() {
            let status = StatusCode::UNPROCESSABLE_ENTITY;
            return self
                .show_account(session, owner, &complaints, None, now, status)
                .await;
        }
        // whoever knew the old password is out
        self.store.close_sessions(owner, &session.hash()).await?;
        self.store.forget_browsers(owner).await?;
        tracing::info!(%owner, "password changed");
        if fields.contains("devices") {
            self.store
                .revoke(Revoke::Everything { owner }, &self.authority, now as i64)
                .await?;
            return Ok(done(Done::PasswordAndDevices));
        }
        Ok(done(Done::Password))
    }

    /// Whether the old password was right and the new one is in force.
    async fn replace_password(
        &self,
        session: &str,
        old: &str,
        new: &str,
        owner: &str,
        now: u64,
    ) -> Result<bool, Trouble> {
        // by session: strangers who try this account's password don't count here
        self.limit(Class::Account, session, self.config.limits.account, now)?;
        if !self.try_password(owner, old).await? {
            return Ok(false);
        }
        let hash = self.passwords.hash(new.into()).await?;
        self.store.set_password(owner, &hash).await?;
        Ok(true)
    }

    async fn show_account(
        &self,
        session: &Session,
        owner: &str,
        complaints: &[Complaint],
        done: Option<Done>,
        now: u64,
        status: StatusCode,
    ) -> Result<Response<Body>, Trouble> {
        let lifetime = self.config.lifetimes.user;
        let devices = self
            .store
            .devices(owner, now.saturating_sub(lifetime * 1_000) as i64)
            .await?;
        let token = session.token();
        let view = Account {
            frame: Frame {
                domain: &self.config.domain,
                token: &token,
            },
            name: owner,
            devices: &devices,
            complaints,
            done,
            now,
            lifetime,
        };
        Ok(http::page(status, page::account(&view), None))
    }
}

fn done(what: Done) -> Response<Body> {
    http::see_other(&format!("/account?done={}", what.mark()))
}
