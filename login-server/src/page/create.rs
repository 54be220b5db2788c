use maud::{Markup, html};

use super::field::{Field, summary, title};
use super::{Complaint, Frame, hidden, layout};
use crate::name;

/// The page to create an account at.
#[derive(Debug)]
pub(crate) struct Create<'a> {
    pub(crate) frame: Frame<'a>,
    /// The page's request, as a query.
    pub(crate) request: Option<&'a str>,
    /// The page's host.
    pub(crate) site: Option<&'a str>,
    pub(crate) name: &'a str,
    pub(crate) complaints: &'a [Complaint],
}

pub(crate) fn create(view: &Create<'_>) -> Markup {
    let request = view.request;
    let suffix = format!("@{}", view.frame.domain);
    let sign_in = request.map_or_else(
        || "/sign-in".to_owned(),
        |request| format!("/sign-in?{request}"),
    );
    let contents = html! {
        section.card aria-labelledby="title" {
            h1 id="title" { "Create an account" }
            @if let Some(site) = view.site {
                p.lead { "to make calls at " strong { (site) } }
            }
            (summary(view.complaints))
            form method="post" action="/create-account" {
                (hidden(view.frame.token, request))
                (Field {
                    name: "name", label: "Name", kind: "text", value: view.name, autocomplete: "username",
                    hint: name::RULES, suffix: &suffix, focus: view.name.is_empty(),
                }.render(view.complaints))
                (Field {
                    name: "password", label: "Password", kind: "password", value: "", autocomplete: "new-password",
                    hint: "At least 10 characters. Three or four words make a good one.", suffix: "",
                    focus: !view.name.is_empty(),
                }.render(view.complaints))
                (Field {
                    name: "repeat", label: "Password again", kind: "password", value: "",
                    autocomplete: "new-password",
                    hint: "Nobody can look it up for you if you lose it.", suffix: "", focus: false,
                }.render(view.complaints))
                button.primary type="submit" { "Create account" }
            }
            p.aside { "You have an account? " a href=(sign_in) { "Sign in" } }
            @if let (Some(request), Some(site)) = (request, view.site) {
                p.aside { a href={ "/cancel?" (request) } { "Back to " (site) } }
            }
        }
    };
    layout(
        &title("Create an account", view.complaints),
        None,
        &contents,
    )
}
