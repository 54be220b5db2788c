use maud::{Markup, html};

use super::field::{Field, summary, title};
use super::{Complaint, Frame, hidden, layout};

/// The sign-in page.
#[derive(Debug)]
pub(crate) struct SignIn<'a> {
    pub(crate) frame: Frame<'a>,
    /// The page's request, as a query.
    pub(crate) request: Option<&'a str>,
    /// The page's host.
    pub(crate) site: Option<&'a str>,
    pub(crate) name: &'a str,
    pub(crate) complaints: &'a [Complaint],
    /// Whether anybody may create an account.
    pub(crate) open: bool,
    /// What went well before this page came.
    pub(crate) done: Option<&'a str>,
}

pub(crate) fn sign_in(view: &SignIn<'_>) -> Markup {
    let request = view.request;
    let suffix = format!("@{}", view.frame.domain);
    let with =
        |path: &str| request.map_or_else(|| path.to_owned(), |request| format!("{path}?{request}"));
    let contents = html! {
        section.card aria-labelledby="title" {
            h1 id="title" { "Sign in" }
            @if let Some(site) = view.site {
                p.lead { "to make calls at " strong { (site) } }
            }
            @if let Some(done) = view.done { p.note role="status" { (done) } }
            (summary(view.complaints))
            form method="post" action="/sign-in" {
                (hidden(view.frame.token, request))
                (Field {
                    name: "name", label: "Name", kind: "text", value: view.name, autocomplete: "username",
                    hint: "", suffix: &suffix, focus: view.name.is_empty(),
                }.render(view.complaints))
                (Field {
                    name: "password", label: "Password", kind: "password", value: "",
                    autocomplete: "current-password", hint: "", suffix: "", focus: !view.name.is_empty(),
                }.render(view.complaints))
                button.primary type="submit" { "Sign in" }
            }
            @if view.open {
                p.aside { "New here? " a href=(with("/create-account")) { "Create an account" } }
            }
            @if let (Some(request), Some(site)) = (request, view.site) {
                p.aside { a href={ "/cancel?" (request) } { "Back to " (site) } }
            }
        }
        p.small { "Your password stays on this server. The site you call from gets a certificate for this device, nothing else." }
    };
    layout(&title("Sign in", view.complaints), None, &contents)
}
