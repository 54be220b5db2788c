use core::fmt;

/// Why a call is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EndReason {
    /// One of the two hung up a call that stood.
    HungUp,
    /// The caller gave up before it was answered.
    Cancelled,
    /// The callee declined it.
    Declined,
    /// The callee is in another call.
    Busy,
    /// The callee's devices rang and nobody answered.
    NoAnswer,
    /// Nobody of that name has ever been online, or the name is none.
    NotFound,
    /// The callee is known and not online.
    Offline,
    /// Another device of the callee took it.
    AnsweredElsewhere,
    /// The callee's location record was altered, is not his, or is out of date.
    RecordRefused,
    /// The caller's identity could not be proved.
    IdentityRefused,
    /// The media's fingerprint is not the one that the other side has signed.
    MediaRefused,
    /// The microphone could not be opened.
    NoMicrophone,
    /// The user or the browser does not permit the microphone or camera.
    PermissionRefused,
    /// No super node can be reached, or nobody answered in time.
    Network,
    /// The user's own certificate has expired.
    CredentialExpired,
    /// The two sides share no kind of media.
    NotAcceptable,
    /// The other side refused with a status that says nothing else.
    Failed,
}

impl EndReason {
    /// The reason as the JavaScript API spells it.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::HungUp => "hung-up",
            Self::Cancelled => "cancelled",
            Self::Declined => "declined",
            Self::Busy => "busy",
            Self::NoAnswer => "no-answer",
            Self::NotFound => "not-found",
            Self::Offline => "offline",
            Self::AnsweredElsewhere => "answered-elsewhere",
            Self::RecordRefused => "record-refused",
            Self::IdentityRefused => "identity-refused",
            Self::MediaRefused => "media-refused",
            Self::NoMicrophone => "no-microphone",
            Self::PermissionRefused => "permission-refused",
            Self::Network => "network",
            Self::CredentialExpired => "credential-expired",
            Self::NotAcceptable => "not-acceptable",
            Self::Failed => "failed",
        }
    }

    /// Reads what [`code`](Self::code) writes.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        ALL.into_iter().find(|reason| reason.code() == code)
    }
}

impl fmt::Display for EndReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

const ALL: [EndReason; 17] = [
    EndReason::HungUp,
    EndReason::Cancelled,
    EndReason::Declined,
    EndReason::Busy,
    EndReason::NoAnswer,
    EndReason::NotFound,
    EndReason::Offline,
    EndReason::AnsweredElsewhere,
    EndReason::RecordRefused,
    EndReason::IdentityRefused,
    EndReason::MediaRefused,
    EndReason::NoMicrophone,
    EndReason::PermissionRefused,
    EndReason::Network,
    EndReason::CredentialExpired,
    EndReason::NotAcceptable,
    EndReason::Failed,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_told_apart() {
        for reason in ALL {
            assert_eq!(EndReason::from_code(reason.code()), Some(reason));
        }
        assert_eq!(EndReason::from_code(""), None);
    }
}
