use maud::{Markup, html};

use super::{Frame, hidden, layout};

/// A page that says one thing and where to go from there.
pub(crate) fn notice(title: &str, sentences: &[&str], onward: Option<(&str, &str)>) -> Markup {
    let contents = html! {
        section.card aria-labelledby="title" {
            h1 id="title" { (title) }
            @for sentence in sentences { p.lead { (sentence) } }
            @if let Some((address, label)) = onward {
                p.aside { a href=(address) { (label) } }
            }
        }
    };
    layout(title, None, &contents)
}

/// The question to somebody who is signed in already: one click, and the page has its code.
pub(crate) fn confirm(frame: &Frame<'_>, name: &str, site: &str, request: &str) -> Markup {
    let contents = html! {
        section.card aria-labelledby="title" {
            h1 id="title" { "Continue as " (name) "?" }
            p.lead { strong { (site) } " will be able to make and take calls as " strong { (name) "@" (frame.domain) } " on this device." }
            form method="post" action="/authorize" {
                (hidden(frame.token, Some(request)))
                button.primary type="submit" autofocus { "Continue as " (name) }
            }
            p.aside { a href={ "/sign-in?" (request) } { "Use another account" } }
            p.aside { a href={ "/cancel?" (request) } { "Back to " (site) } }
        }
    };
    layout("Continue", None, &contents)
}

/// Comes again to the same address from this site, by itself or at a click.
///
/// A `SameSite=Strict` cookie isn't sent when another site's page leads here; when this page leads here, it is.
pub(crate) fn onward(address: &str, by_itself: bool) -> Markup {
    let contents = html! {
        section.card aria-labelledby="title" {
            h1 id="title" { "One moment" }
            p.lead { a href=(address) { "Continue to Partyline’s login server" } }
        }
    };
    layout("One moment", by_itself.then_some(address), &contents)
}
