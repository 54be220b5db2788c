//! Status codes and their phrases.

/// The default phrase of a status code, or that of its class.
#[must_use]
pub fn phrase(status: u16) -> &'static str {
    let known = PHRASES.iter().find(|(code, _)| *code == status);
    known.map_or_else(|| class(status), |(_, phrase)| phrase)
}

fn class(status: u16) -> &'static str {
    match status / 100 {
        1 => "Session Progress",
        2 => "OK",
        3 => "Redirected",
        4 => "Request Failure",
        5 => "Server Failure",
        _ => "Global Failure",
    }
}

/// Of the statuses that this crate gives, those that their class doesn't name.
const PHRASES: &[(u16, &str)] = &[
    (100, "Trying"),
    (180, "Ringing"),
    (400, "Bad Request"),
    (403, "Forbidden"),
    (404, "Not Found"),
    (405, "Method Not Allowed"),
    (408, "Request Timeout"),
    (415, "Unsupported Media Type"),
    (420, "Bad Extension"),
    (428, "Use Identity Header"),
    (430, "Flow Failed"),
    (436, "Bad Identity Info"),
    (437, "Unsupported Credential"),
    (438, "Invalid Identity Header"),
    (469, "Bad Info Package"),
    (480, "Temporarily Unavailable"),
    (481, "Call/Transaction Does Not Exist"),
    (482, "Loop Detected"),
    (483, "Too Many Hops"),
    (486, "Busy Here"),
    (487, "Request Terminated"),
    (488, "Not Acceptable Here"),
    (491, "Request Pending"),
    (500, "Server Internal Error"),
    (503, "Service Unavailable"),
    (504, "Server Time-out"),
    (505, "Version Not Supported"),
    (513, "Message Too Large"),
    (603, "Decline"),
];
