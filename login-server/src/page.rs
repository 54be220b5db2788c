//! The pages that people see: rendered here, without a script. Whatever is put into them is escaped by maud.

use maud::{DOCTYPE, Markup, PreEscaped, html};
use ring::digest::{SHA256, digest};

mod account;
mod create;
mod field;
mod notice;
mod sign_in;

pub(crate) use account::{Account, Done, account};
pub(crate) use create::{Create, create};
pub(crate) use field::Complaint;
pub(crate) use notice::{confirm, notice, onward};
pub(crate) use sign_in::{SignIn, sign_in};

/// The one stylesheet.
pub(crate) const STYLE: &str = include_str!("page/style.css");

const ICON: PreEscaped<&str> = PreEscaped(include_str!("page/icon.svg"));

/// The stylesheet's address: it changes with its contents, so that browsers may keep it.
pub(crate) fn style_address() -> String {
    format!(
        "/style.css?{}",
        &crate::store::hex(digest(&SHA256, STYLE.as_bytes()).as_ref())[..12]
    )
}

/// What every page is told.
#[derive(Debug, Clone)]
pub(crate) struct Frame<'a> {
    /// The users' domain.
    pub(crate) domain: &'a str,
    /// The token of the session's forms.
    pub(crate) token: &'a str,
}

/// A whole page around its contents.
fn layout(title: &str, refresh: Option<&str>, contents: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="robots" content="noindex";
                @if let Some(address) = refresh {
                    meta http-equiv="refresh" content={ "0;url=" (address) };
                }
                title { (title) " · Partyline" }
                link rel="stylesheet" href=(style_address());
                link rel="icon" type="image/svg+xml" href="/icon.svg";
            }
            body {
                header.top { span.brand { (ICON) "Partyline" } }
                main { (contents) }
            }
        }
    }
}

/// The icon, for browser tabs.
pub(crate) const ICON_FILE: &str = include_str!("page/icon.svg");

/// The hidden fields that tie a form to its session and carry the page's request along.
fn hidden(token: &str, request: Option<&str>) -> Markup {
    html! {
        input type="hidden" name="token" value=(token);
        @if let Some(request) = request {
            input type="hidden" name="request" value=(request);
        }
    }
}
