use maud::{Markup, html};
use time::{Month, OffsetDateTime};

use super::field::{Field, summary, title};
use super::{Complaint, Frame, hidden, layout};
use crate::store::Device;

/// The account page.
#[derive(Debug)]
pub(crate) struct Account<'a> {
    pub(crate) frame: Frame<'a>,
    pub(crate) name: &'a str,
    pub(crate) devices: &'a [Device],
    pub(crate) complaints: &'a [Complaint],
    pub(crate) done: Option<Done>,
    /// Milliseconds since 1970.
    pub(crate) now: u64,
    /// How long a certificate lasts, in seconds.
    pub(crate) lifetime: u64,
}

/// What the user has just done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Done {
    Password,
    PasswordAndDevices,
    Device,
}

impl Done {
    const ALL: [Self; 3] = [Self::Password, Self::PasswordAndDevices, Self::Device];

    /// How it stands in the address.
    pub(crate) fn mark(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::PasswordAndDevices => "password-and-devices",
            Self::Device => "device",
        }
    }

    pub(crate) fn of(mark: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|done| done.mark() == mark)
    }

    fn sentence(self) -> &'static str {
        match self {
            Self::Password => "Your password has been changed.",
            Self::PasswordAndDevices => {
                "Your password has been changed, and your devices are signed out."
            }
            Self::Device => {
                "The device is signed out: the network refuses it as soon as word has gone round."
            }
        }
    }
}

pub(crate) fn account(view: &Account<'_>) -> Markup {
    let contents = html! {
        section.card aria-labelledby="title" {
            h1 id="title" { (view.name) span.domain { "@" (view.frame.domain) } }
            p.lead { "This is the name that others call you by." }
            @if let Some(done) = view.done { p.note role="status" { (done.sentence()) } }
            (summary(view.complaints))
        }
        (devices(view))
        (password(view))
        section.card aria-labelledby="leave" {
            h2 id="leave" { "Sign out" }
            p.hint { "Signing out here leaves your devices as they are. You can also sign out everywhere: then no device of yours makes or takes calls until you sign in on it again." }
            div.actions {
                form method="post" action="/sign-out" {
                    (hidden(view.frame.token, None))
                    button type="submit" { "Sign out here" }
                }
                form method="post" action="/account/sign-out-everywhere" {
                    (hidden(view.frame.token, None))
                    button.danger type="submit" { "Sign out everywhere" }
                }
            }
        }
    };
    layout(&title("Your account", view.complaints), None, &contents)
}

fn devices(view: &Account<'_>) -> Markup {
    html! {
        section.card aria-labelledby="devices" {
            h2 id="devices" { "Devices" }
            @if view.devices.is_empty() {
                p.hint { "No device of yours is signed in. A browser appears here once you have signed in to make calls from it." }
            } @else {
                p.hint { "Where you are signed in to make and take calls." }
                ul.devices {
                    @for device in view.devices {
                        li {
                            div {
                                p.device id={ "device-" (device.id) } { (device.label) }
                                p.hint { "Active " (ago(device.renewed, view.now)) ", added " (date(device.created)) }
                            }
                            form method="post" action="/account/devices/revoke" {
                                (hidden(view.frame.token, None))
                                input type="hidden" name="device" value=(device.id);
                                button type="submit" aria-describedby={ "device-" (device.id) } { "Sign out" }
                            }
                        }
                    }
                }
                p.hint { "A device that isn’t used is signed out by itself after " (days(view.lifetime)) "." }
            }
        }
    }
}

fn password(view: &Account<'_>) -> Markup {
    let field = |name, label, autocomplete, hint| Field {
        name,
        label,
        kind: "password",
        value: "",
        autocomplete,
        hint,
        suffix: "",
        focus: false,
    };
    html! {
        section.card aria-labelledby="change" {
            h2 id="change" { "Change password" }
            form method="post" action="/account/password" {
                (hidden(view.frame.token, None))
                // tells password managers whose password it is
                input type="text" name="name" value=(view.name) autocomplete="username" hidden;
                (field("current", "Current password", "current-password", "").render(view.complaints))
                (field("password", "New password", "new-password", "At least 10 characters.").render(view.complaints))
                (field("repeat", "New password again", "new-password", "").render(view.complaints))
                label.check {
                    input type="checkbox" name="devices" value="sign-out";
                    span { "Also sign out all my devices. Do this if somebody else may know the old password." }
                }
                button type="submit" { "Change password" }
            }
        }
    }
}

fn date(milliseconds: i64) -> String {
    let Ok(date) = OffsetDateTime::from_unix_timestamp(milliseconds / 1_000) else {
        return "some day".into();
    };
    let month = match date.month() {
        Month::January => "January",
        Month::February => "February",
        Month::March => "March",
        Month::April => "April",
        Month::May => "May",
        Month::June => "June",
        Month::July => "July",
        Month::August => "August",
        Month::September => "September",
        Month::October => "October",
        Month::November => "November",
        Month::December => "December",
    };
    format!("{} {month} {}", date.day(), date.year())
}

fn ago(then: i64, now: u64) -> String {
    let minutes = (now as i64 - then) / 60_000;
    match minutes {
        ..=1 => "just now".into(),
        2..=119 => format!("{minutes} minutes ago"),
        120..=2_879 => format!("{} hours ago", minutes / 60),
        _ => format!("on {}", date(then)),
    }
}

fn days(seconds: u64) -> String {
    match seconds / (24 * 60 * 60) {
        0 => crate::http::seconds_in_words(seconds),
        1 => "a day".into(),
        days => format!("{days} days"),
    }
}
