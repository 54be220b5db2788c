//! What a proxy owes each of the messages of RFC 4475 and RFC 5118 that lie beside this file.

/// What comes of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It goes on to where it is for.
    Forwarded,
    /// It is answered with this status.
    Answered(u16),
    /// It reaches the registrar, which answers so.
    Registered(u16),
    /// Nothing at all.
    Ignored,
}

use Outcome::{Answered, Forwarded, Ignored, Registered};

macro_rules! messages {
    ($folder:literal: $($name:literal => $outcome:expr,)*) => {
        &[$(($name, include_bytes!(concat!($folder, "/", $name)), $outcome),)*]
    };
}

/// Each message by its name.
pub(crate) type Table = &'static [(&'static str, &'static [u8], Outcome)];

/// RFC 4475, section 3, in its order.
pub(crate) const RFC_4475: Table = messages! { "rfc4475":
    // 3.1.1 Valid messages
    "wsinv" => Forwarded,
    "intmeth" => Forwarded,
    "esc01" => Forwarded,
    "escnull" => Registered(200),
    // "must not treat this as a REGISTER": a method that it does not know
    "esc02" => Forwarded,
    "lwsdisp" => Forwarded,
    "longreq" => Forwarded,
    // what is behind the REGISTER in its datagram is no message
    "dblreq" => Registered(200),
    "semiuri" => Forwarded,
    "transports" => Forwarded,
    "mpart01" => Forwarded,
    // responses to nothing; see below for responses to something
    "unreason" => Ignored,
    "noreason" => Ignored,
    // 3.1.2 Invalid messages
    "badinv01" => Answered(400),
    "clerr" => Answered(400),
    "ncl" => Answered(400),
    "scalar02" => Answered(400),
    "scalarlg" => Ignored,
    "quotbal" => Answered(400),
    "ltgtruri" => Answered(400),
    "lwsruri" => Answered(400),
    "lwsstart" => Answered(400),
    "trws" => Answered(400),
    "escruri" => Answered(400),
    // a proxy does not look at the Date
    "baddate" => Forwarded,
    "regbadct" => Registered(400),
    "badaspec" => Answered(400),
    "baddn" => Answered(400),
    "badvers" => Answered(505),
    "mismatch01" => Answered(400),
    "mismatch02" => Answered(501),
    "bigcode" => Ignored,
    // 3.2 Transaction layer
    "badbranch" => Answered(400),
    // 3.3 Application layer
    "insuf" => Answered(400),
    "unkscm" => Answered(416),
    "novelsc" => Answered(416),
    "unksm2" => Registered(400),
    "bext01" => Answered(420),
    // what is in it is the callee's business
    "invut" => Forwarded,
    "regaut01" => Registered(401),
    "multi01" => Answered(400),
    "mcl01" => Answered(400),
    // its next Via is a broadcast address
    "bcast" => Ignored,
    "zeromf" => Answered(483),
    "cparam01" => Registered(200),
    "cparam02" => Registered(200),
    "regescrt" => Registered(200),
    "sdp01" => Forwarded,
    // 3.4 Backward compatibility
    "inv2543" => Forwarded,
};

/// RFC 5118, section 4, in its order.
pub(crate) const RFC_5118: Table = messages! { "rfc5118":
    "ipv6-good" => Forwarded,
    "ipv6-bad" => Answered(400),
    "port-ambiguous" => Forwarded,
    "port-unambiguous" => Forwarded,
    "via-received-param-with-delim" => Forwarded,
    "via-received-param-no-delim" => Forwarded,
    "ipv6-in-sdp" => Forwarded,
    "mult-ip-in-header" => Forwarded,
    "mult-ip-in-sdp" => Forwarded,
    "ipv4-mapped-ipv6" => Forwarded,
    "ipv6-bug-abnf-3-colons" => Forwarded,
    "ipv6-correct-abnf-2-colons" => Forwarded,
};
