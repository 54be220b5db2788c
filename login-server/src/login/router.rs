//! Which page a browser gets, and which form is taken.

use hyper::{Method, Response, StatusCode, header};

use super::authorize::Authorization;
use super::entry::{Entry, explain};
use super::session::Session;
use super::{LoginServer, Trouble, is_get, retry_after};
use crate::http::{self, Body, Call, Fields, Origin};
use crate::page;

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
        // a link on another site brings no SameSite=Strict cookie; coming again from here does. Whoever comes from there
        // again and again has to click, and nobody's cookie is replaced meanwhile
        if is_get(call) && call.is_from_another_site() {
            let again = fields.contains("again");
            let query = match call.query.as_str() {
                "" => "again=1".into(),
                query if again => query.to_owned(),
                query => format!("{query}&again=1"),
            };
            let address = format!("{}?{query}", call.path);
            return Ok(http::page(
                StatusCode::OK,
                page::onward(&address, !again),
                None,
            ));
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
            // without a cookie: a foreign site's form must not replace the one that it came without
            return Ok(http::page(StatusCode::FORBIDDEN, contents, None));
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
        let creates = call.path == "/create-account" || (is_get(call) && entry.prefers_to_create());
        if creates && !self.config.open_registration {
            return Ok(self.no_registration(&entry));
        }
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

    /// Whether a form was sent by a page of this server, as far as the browser says.
    fn is_own(&self, call: &Call) -> bool {
        match call.header(header::ORIGIN) {
            Some(origin) => Origin::read(origin).as_ref() == Some(&self.origin),
            // old browsers send none; several are nobody's
            None => !call.headers.contains_key(header::ORIGIN),
        }
    }
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
