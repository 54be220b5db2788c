//! The pages at which people come in, as they are shown.

use hyper::{Response, StatusCode, header};

use super::authorize::{Authorization, AuthorizationFault};
use super::session::Session;
use super::{LoginServer, is_get};
use crate::http::{self, Body, Call, Fields, Origin};
use crate::page::{self, Complaint, Frame};

/// A request for one of the pages at which people come in.
pub(super) struct Entry<'a> {
    pub(super) call: &'a Call,
    pub(super) fields: &'a Fields,
    pub(super) session: Session,
    /// What a page asked for, if one did.
    pub(super) request: Option<Authorization>,
    pub(super) now: u64,
}

impl Entry<'_> {
    fn query(&self) -> Option<String> {
        self.request.as_ref().map(Authorization::query)
    }

    /// Whether a page would rather have an account made.
    pub(super) fn prefers_to_create(&self) -> bool {
        self.request.as_ref().is_some_and(|request| request.create)
            && self.call.path == "/authorize"
    }

    fn redirect(&self) -> Option<&Origin> {
        self.request.as_ref().map(|request| &request.redirect)
    }

    fn site(&self) -> Option<&str> {
        self.redirect().map(Origin::authority)
    }
}

impl LoginServer {
    pub(super) fn show_sign_in(
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

    pub(super) fn show_create(
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

    pub(super) fn no_registration(&self, entry: &Entry<'_>) -> Response<Body> {
        let sentence = "The operator of this network makes its accounts. Ask there for one.";
        let sign_in = entry
            .query()
            .map_or_else(|| "/sign-in".into(), |query| format!("/sign-in?{query}"));
        let contents = page::notice(
            "No new accounts here",
            &[sentence],
            Some((&sign_in, "Sign in")),
        );
        self.hand(
            http::page(StatusCode::FORBIDDEN, contents, None),
            &entry.session,
        )
    }

    pub(super) fn show_confirm(
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
}

/// Says what is wrong with a page's request. The browser isn't sent back: where to is part of what may be wrong.
pub(super) fn explain(fault: AuthorizationFault) -> Response<Body> {
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
