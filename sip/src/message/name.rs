/// Gives an enum its texts, compared as the protocol wants.
macro_rules! names {
    ($(#[$meta:meta])* $type:ident { $($(#[$doc:meta])* $variant:ident = $text:literal $(/ $short:literal)?),* $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $type {
            $($(#[$doc])* $variant,)*
            /// One that this crate gives no meaning.
            Other,
        }

        impl $type {
            /// The full text.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                ALL.get(self as usize).map_or("", |(_, text, _)| text)
            }
        }

        const ALL: &[($type, &str, &str)] = &[$(($type::$variant, $text, concat!($($short)?)),)*];
    };
}

pub use method::Method;

mod method {
    names! {
        /// A request's method. Methods are case-sensitive (RFC 3261, section 7.1).
        Method {
            /// RFC 3261.
            Invite = "INVITE",
            /// RFC 3261.
            Ack = "ACK",
            /// RFC 3261.
            Cancel = "CANCEL",
            /// RFC 3261.
            Bye = "BYE",
            /// RFC 3261.
            Options = "OPTIONS",
            /// RFC 3261.
            Register = "REGISTER",
            /// RFC 3262.
            Prack = "PRACK",
            /// RFC 3311.
            Update = "UPDATE",
            /// RFC 6086.
            Info = "INFO",
        }
    }

    impl Method {
        /// Reads a method's text.
        #[must_use]
        pub fn read(text: &str) -> Self {
            ALL.iter()
                .find(|(_, name, _)| *name == text)
                .map_or(Self::Other, |(method, ..)| *method)
        }
    }
}

names! {
    /// A header's name. Names are not case-sensitive; some have a compact form of one letter.
    Name {
        /// RFC 3261, 20.5.
        Allow = "Allow",
        /// RFC 3261, 20.8.
        CallId = "Call-ID" / "i",
        /// RFC 3261, 20.10.
        Contact = "Contact" / "m",
        /// RFC 3261, 20.14.
        ContentLength = "Content-Length" / "l",
        /// RFC 3261, 20.15.
        ContentType = "Content-Type" / "c",
        /// RFC 3261, 20.16.
        CSeq = "CSeq",
        /// RFC 3261, 20.20.
        From = "From" / "f",
        /// RFC 8224.
        Identity = "Identity" / "y",
        /// RFC 6086.
        InfoPackage = "Info-Package",
        /// RFC 3261, 20.22.
        MaxForwards = "Max-Forwards",
        /// RFC 3261, 20.29.
        ProxyRequire = "Proxy-Require",
        /// RFC 3262.
        RAck = "RAck",
        /// RFC 3326.
        Reason = "Reason",
        /// RFC 3261, 20.30.
        RecordRoute = "Record-Route",
        /// RFC 6086.
        RecvInfo = "Recv-Info",
        /// RFC 3261, 20.32.
        Require = "Require",
        /// RFC 3261, 20.33.
        RetryAfter = "Retry-After",
        /// RFC 3261, 20.34.
        Route = "Route",
        /// RFC 3262.
        RSeq = "RSeq",
        /// RFC 3261, 20.37.
        Supported = "Supported" / "k",
        /// RFC 3261, 20.39.
        To = "To" / "t",
        /// RFC 3261, 20.40.
        Unsupported = "Unsupported",
        /// RFC 3261, 20.41.
        UserAgent = "User-Agent",
        /// RFC 3261, 20.42.
        Via = "Via" / "v",
        /// RFC 3261, 20.43.
        Warning = "Warning",
    }
}

impl Name {
    /// Reads a header's name, full or compact.
    #[must_use]
    pub fn read(text: &str) -> Self {
        ALL.iter()
            .find(|(_, name, short)| {
                text.eq_ignore_ascii_case(name)
                    || !short.is_empty() && text.eq_ignore_ascii_case(short)
            })
            .map_or(Self::Other, |(name, ..)| *name)
    }

    /// Says whether a message may have only one field of that name.
    pub(crate) const fn is_single(self) -> bool {
        matches!(
            self,
            Self::CallId
                | Self::ContentLength
                | Self::ContentType
                | Self::CSeq
                | Self::From
                | Self::Identity
                | Self::InfoPackage
                | Self::MaxForwards
                | Self::RAck
                | Self::RetryAfter
                | Self::RSeq
                | Self::To
        )
    }
}
