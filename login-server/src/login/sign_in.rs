//! The pages at which people sign in and create accounts.

use hyper::{Method, Response, StatusCode, header};

use super::authorize::{Authorization, AuthorizationFault};
use super::session::Session;
use super::{LoginServer, Trouble, is_get, retry_after};
use crate::http::{self, Body, Call, Fields, Origin};
use crate::limit::{Class, address};
use crate::page::{self, Complaint, Frame};
use crate::store::NameTaken;
use crate::{name, password};

/// One sentence for a wrong name and a wrong password alike: nobody learns which names there are.
const WRONG: &str = "The name or the password is wrong.";

impl LoginServer {
    /// The pages.
    pub(super) async fn page(&self, call: &Call, now: u64) -> Response<Body> {
        match call.path.as_str() {
            "/style.css" | "/icon.svg" if is_get(call) => return file(&call.path),
            "/authorize" | "/sign-in" | "/create-account" | "/cancel" | "/account"
                if is_get(call) => {}
            "/authorize"
            | "/sign-in"
            | "/create-account"
            | "/sign-out"
            | "/account/password"
            | "/account/devices/revoke"
            | "/account/sign-out-everywhere"
                if call.method == Method::POST => {}
            "/" if is_get(call) => return http::see_other("/account"),
            "/authorize" | "/sign-in" | "/create-account" => {
                return http::wrong_method("GET, POST");
            }
            "/style.css" | "/icon.svg" | "/cancel" | "/account" | "/" => {
                return http::wrong_method("GET");
            }
            "/sign-out"
            | "/account/password"
            | "/account/devices/revoke"
            | "/account/sign-out-everywhere" => {
                return http::wrong_method("POST");
            }
            _ => {
                let contents = page::notice(
                    "There is no such page",
                    &[],
                    Some(("/account", "Your account")),
                );
                return http::page(StatusCode::NOT_FOUND, contents, None);
            }
        }
        self.session_page(call, now)
            .await
            .unwrap_or_else(|trouble| {
                let (status, wait, sentence) = trouble.explain();
                let contents = page::notice("That didn’t work", &[&sentence], None);
                retry_after(http::page(status, contents, None), wait)
            })
    }

    /// The pages that know the browser.
    async fn session_page(&self, call: &Call, now: u64) -> Result<Response<Body>, Trouble> {
        let fields = if is_get(call) {
            Fields::read(call.query.as_bytes())
        } else {
            call.form()
        };
        // a link on another site brings no SameSite=Strict cookie; coming again from here does
        if is_get(call) && call.is_from_another_site() && !fields.contains("again") {
            let mark = if call.query.is_empty() {
                "again=1"
            } else {
                "&again=1"
            };
            let address = format!("{}?{}{mark}", call.path, call.query);
            return Ok(http::page(StatusCode::OK, page::onward(&address), None));
        }
        let idle = self.config.lifetimes.session;
        let session = Session::of(call, &self.origin, &self.store, now, idle).await?;
        let trusted = is_get(call) || (session.made(fields.first("token")) && self.is_own(call));
        if !trusted {
            let sentences = [
                "It was made for another session, or your browser keeps no cookies from this site. Nothing has been done.",
            ];
            let contents = page::notice(
                "This form is no longer good",
                &sentences,
                Some(("/account", "Start again")),
            );
            return Ok(self.hand(http::page(StatusCode::FORBIDDEN, contents, None), &session));
        }
        if matches!(
            call.path.as_str(),
            "/authorize" | "/sign-in" | "/create-account" | "/cancel"
        ) {
            return self.entry(call, &fields, session, now).await;
        }
        self.account_page(call, &fields, &session, now).await
    }

    /// The pages that a page's request may lead to.
    async fn entry(
        &self,
        call: &Call,
        fields: &Fields,
        session: Session,
        now: u64,
    ) -> Result<Response<Body>, Trouble> {
        let nested = Fields::read(fields.first("request").as_bytes());
        let asked = if is_get(call) { fields } else { &nested };
        let wanted = asked.contains("redirect_uri")
            || asked.contains("client_id")
            || matches!(call.path.as_str(), "/authorize" | "/cancel");
        let request = if wanted {
            match Authorization::read(asked, &self.allowed_origins(now).await?) {
                Ok(request) => Some(request),
                Err(fault) => return Ok(self.hand(explain(fault), &session)),
            }
        } else {
            None
        };
        let entry = Entry {
            call,
            fields,
            session,
            request,
            now,
        };
        match (call.path.as_str(), is_get(call), &entry.request) {
            ("/cancel", _, Some(request)) => Ok(http::see_other(&request.denied(&self.origin))),
            ("/authorize", true, Some(request)) => match entry.session.owner() {
                _ if request.create => {
                    Ok(self.show_create(&entry, &request.hint, &[], StatusCode::OK))
                }
                Some(owner) => Ok(self.show_confirm(&entry, owner, request)),
                None => Ok(self.show_sign_in(&entry, &request.hint, &[], StatusCode::OK)),
            },
            ("/authorize", false, Some(request)) => match entry.session.owner() {
                Some(owner) => self.grant(request, owner, now).await,
                None => Ok(self.show_sign_in(&entry, &request.hint, &[], StatusCode::OK)),
            },
            ("/create-account", true, request) => {
                let hint = request.as_ref().map_or("", |request| &request.hint);
                Ok(self.show_create(&entry, hint, &[], StatusCode::OK))
            }
            ("/create-account", false, _) => self.create_account(&entry).await,
            (_, true, None) if entry.session.owner().is_some() => Ok(http::see_other("/account")),
            (_, true, request) => {
                let hint = request.as_ref().map_or("", |request| &request.hint);
                Ok(self.show_sign_in(&entry, hint, &[], StatusCode::OK))
            }
            (_, false, _) => self.sign_in(&entry).await,
        }
    }

    async fn sign_in(&self, entry: &Entry<'_>) -> Result<Response<Body>, Trouble> {
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
        let counted = self
            .limit(
                Class::SignIn,
                address(entry.call.peer),
                limits.sign_in,
                entry.now,
            )
            .and_then(|()| self.limit(Class::Account, &name, limits.account, entry.now));
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
                let complaints = [Complaint::new("name", WRONG)];
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

    async fn create_account(&self, entry: &Entry<'_>) -> Result<Response<Body>, Trouble> {
        let typed = entry.fields.first("name");
        let unhappy =
            |complaints: &[Complaint], status| self.show_create(entry, typed, complaints, status);
        if !self.config.open_registration {
            let complaint = Complaint::new(
                "",
                "The operator of this network makes its accounts. Ask for one.",
            );
            return Ok(unhappy(&[complaint], StatusCode::FORBIDDEN));
        }
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
        let response = match &entry.request {
            Some(request) => self.grant(request, name, entry.now).await?,
            None => http::see_other("/account"),
        };
        Ok(self.hand(response, &session))
    }

    fn show_sign_in(
        &self,
        entry: &Entry<'_>,
        name: &str,
        complaints: &[Complaint],
        status: StatusCode,
    ) -> Response<Body> {
        let (token, query) = (entry.session.token(), entry.query());
        let done = match entry.fields.first("done") {
            "signed-out" => Some("You are signed out here."),
            "everywhere" => Some("You are signed out here and on all your devices."),
            _ => None,
        };
        let view = page::SignIn {
            frame: Frame {
                domain: &self.config.domain,
                token: &token,
            },
            request: query.as_deref(),
            site: entry.site(),
            name,
            complaints,
            open: self.config.open_registration,
            done: done.filter(|_| is_get(entry.call)),
        };
        self.hand(
            http::page(status, page::sign_in(&view), entry.redirect()),
            &entry.session,
        )
    }

    fn show_create(
        &self,
        entry: &Entry<'_>,
        name: &str,
        complaints: &[Complaint],
        status: StatusCode,
    ) -> Response<Body> {
        let (token, query) = (entry.session.token(), entry.query());
        let view = page::Create {
            frame: Frame {
                domain: &self.config.domain,
                token: &token,
            },
            request: query.as_deref(),
            site: entry.site(),
            name,
            complaints,
        };
        self.hand(
            http::page(status, page::create(&view), entry.redirect()),
            &entry.session,
        )
    }

    fn show_confirm(
        &self,
        entry: &Entry<'_>,
        owner: &str,
        request: &Authorization,
    ) -> Response<Body> {
        let token = entry.session.token();
        let frame = Frame {
            domain: &self.config.domain,
            token: &token,
        };
        let contents = page::confirm(
            &frame,
            owner,
            request.redirect.authority(),
            &request.query(),
        );
        self.hand(
            http::page(StatusCode::OK, contents, entry.redirect()),
            &entry.session,
        )
    }

    /// Gives the browser its cookie along with a response, if it needs one.
    pub(super) fn hand(&self, response: Response<Body>, session: &Session) -> Response<Body> {
        match session.set_cookie(&self.origin) {
            Some(cookie) => http::with(response, header::SET_COOKIE, &cookie),
            None => response,
        }
    }

    /// Whether a form was sent by a page of this server, as far as the browser says.
    fn is_own(&self, call: &Call) -> bool {
        match call.header(header::ORIGIN) {
            Some(origin) => Origin::read(origin).as_ref() == Some(&self.origin),
            // old browsers send none; several are nobody's
            None => !call.headers.contains_key(header::ORIGIN),
        }
    }
}

/// A request for one of the pages at which people come in.
struct Entry<'a> {
    call: &'a Call,
    fields: &'a Fields,
    session: Session,
    /// What a page asked for, if one did.
    request: Option<Authorization>,
    now: u64,
}

impl Entry<'_> {
    fn query(&self) -> Option<String> {
        self.request.as_ref().map(Authorization::query)
    }

    fn redirect(&self) -> Option<&Origin> {
        self.request.as_ref().map(|request| &request.redirect)
    }

    fn site(&self) -> Option<&str> {
        self.redirect().map(Origin::authority)
    }
}

/// Says what is wrong with a page's request. The browser isn't sent back: where to is part of what may be wrong.
fn explain(fault: AuthorizationFault) -> Response<Body> {
    let which = format!(
        "The request’s parameter {} is not right.",
        fault.parameter()
    );
    let sentences = [
        fault.sentence(),
        &which,
        "Nothing has been done. Go back and try again.",
    ];
    http::page(
        StatusCode::BAD_REQUEST,
        page::notice("This sign-in can’t go on", &sentences, None),
        None,
    )
}

fn file(path: &str) -> Response<Body> {
    // the stylesheet's address names its contents
    let (kind, contents, keep) = match path {
        "/icon.svg" => ("image/svg+xml", page::ICON_FILE, "public, max-age=86400"),
        _ => (
            "text/css; charset=utf-8",
            page::STYLE,
            "public, max-age=31536000, immutable",
        ),
    };
    let mut response = http::bytes(StatusCode::OK, kind, contents);
    response.headers_mut().remove(header::CACHE_CONTROL);
    http::with(response, header::CACHE_CONTROL, keep)
}
