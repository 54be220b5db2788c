//! Samples in the manner of RFC 4475: what is odd and valid is read, what is invalid is refused by name.

use sip::Message;
use sip::header::Via;
use sip::message::{Flaw, Method, Name};

/// RFC 4475, section 3.1.1.1, "A Short Tortuous INVITE".
const WSINV: &str = concat!(
    "INVITE sip:vivekg@chair-dnrc.example.com;unknownparam SIP/2.0\r\n",
    "TO :\r\n sip:vivekg@chair-dnrc.example.com ;   tag    = 1918181833n\r\n",
    "from   : \"J Rosenberg \\\\\\\"\"       <sip:jdrosen@example.com>\r\n  ;\r\n  tag = 98asjd8\r\n",
    "MaX-fOrWaRdS: 0068\r\n",
    "Call-ID: wsinv.ndaksdj@192.0.2.1\r\n",
    "Content-Length   : 150\r\n",
    "cseq: 0009\r\n  INVITE\r\n",
    "Via  : SIP  /   2.0\r\n /UDP\r\n    192.0.2.2;branch=390skdjuw\r\n",
    "s :\r\n",
    "NewFangledHeader:   newfangled value\r\n continued newfangled value\r\n",
    "UnknownHeaderWithUnusualValue: ;;,,;;,;\r\n",
    "Content-Type: application/sdp\r\n",
    "Route:\r\n <sip:services.example.com;lr;unknownwith=value;unknown-no-value>\r\n",
    "v:  SIP  / 2.0  / TCP     spindle.example.com   ;\r\n",
    "  branch  =   z9hG4bK9ikj8  ,\r\n SIP  /    2.0   / UDP  192.168.255.111   ; branch=\r\n z9hG4bK30239\r\n",
    "m:\"Quoted string \\\"\\\"\" <sip:jdrosen@example.com> ; newparam =\r\n      newvalue ;\r\n  secondparam ; q = 0.33\r\n",
    "\r\n",
);

fn good() -> String {
    concat!(
        "OPTIONS sip:bob@example.org SIP/2.0\r\n",
        "Via: SIP/2.0/WSS x.invalid;branch=z9hG4bKabc\r\n",
        "Max-Forwards: 70\r\n",
        "From: <sip:alice@example.org>;tag=1\r\n",
        "To: <sip:bob@example.org>\r\n",
        "Call-ID: c\r\n",
        "CSeq: 1 OPTIONS\r\n",
        "Content-Length: 0\r\n",
        "\r\n",
    )
    .into()
}

fn parse(text: &str) -> Result<Message, Flaw> {
    Message::parse(text.as_bytes().to_vec()).map_err(|malformed| malformed.flaw)
}

#[test]
fn a40_folding_blanks_and_compact_names_read_alike_everywhere() {
    // Its topmost Via has a branch of RFC 2543; the rest is as printed, with a body of the length it names.
    let text = WSINV.replace("branch=390skdjuw", "branch=z9hG4bK390skdjuw") + &"x".repeat(150);
    let message = parse(&text).unwrap();
    assert_eq!(message.method(), Method::Invite);
    assert_eq!(message.to_tag(), "1918181833n");
    assert_eq!(message.from_tag(), "98asjd8");
    assert_eq!(message.from().unwrap().name(), "J Rosenberg \\\"");
    assert_eq!(message.cseq().unwrap().number, 9);
    assert_eq!(message.field(Name::MaxForwards), Some("0068"));
    let branches: Vec<_> = message
        .list(Name::Via)
        .map(|via| Via::read(via).unwrap().branch().unwrap())
        .collect();
    assert_eq!(
        branches,
        ["z9hG4bK390skdjuw", "z9hG4bK9ikj8", "z9hG4bK30239"]
    );
    assert_eq!(
        message.contact().unwrap().parameter("newparam"),
        Some("newvalue")
    );
    // What is sent on has neither folds nor blanks before colons, so no element after this one reads it otherwise.
    let sent = String::from_utf8(message.as_bytes().to_vec()).unwrap();
    let head = sent.split_once("\r\n\r\n").unwrap().0;
    for line in head.split("\r\n").skip(1) {
        let name = line.split(':').next().unwrap();
        assert!(
            !line.starts_with([' ', '\t']) && !name.ends_with([' ', '\t']),
            "{line}"
        );
    }
    assert_eq!(parse(&sent).unwrap(), message);
}

#[test]
fn a36_content_length_decides_nothing_that_the_frame_does_not() {
    for value in [
        "-1",
        "+0",
        "1",
        "2147483648",
        "4294967328",
        "18446744073709551616",
        "0x0",
        "",
        "0 0",
        "0,0",
        "00000000000000000000000",
    ] {
        let text = good().replace("Length: 0", &format!("Length: {value}"));
        assert_eq!(parse(&text).err(), Some(Flaw::ContentLength), "{value}");
    }
    let twice = good().replace("Content-Length: 0\r\n", "Content-Length: 0\r\nl: 0\r\n");
    assert_eq!(
        parse(&twice).err(),
        Some(Flaw::Duplicate(Name::ContentLength))
    );
    let smuggled = good() + "OPTIONS sip:x SIP/2.0\r\n";
    assert_eq!(parse(&smuggled).err(), Some(Flaw::ContentLength));
    let missing = good().replace("Content-Length: 0\r\n", "") + "body";
    assert_eq!(parse(&missing).unwrap().body(), b"body");
}

#[test]
fn a37_sequence_branch_and_tag_at_their_bounds() {
    for (from, to, flaw) in [
        ("CSeq: 1 ", "CSeq: 2147483648 ", Flaw::CSeq),
        ("CSeq: 1 ", "CSeq: -1 ", Flaw::CSeq),
        ("CSeq: 1 ", "CSeq: 36893488147419103232 ", Flaw::CSeq),
        ("1 OPTIONS\r", "1 INVITE\r", Flaw::CSeq),
        ("1 OPTIONS\r", "1\r", Flaw::CSeq),
        (";branch=z9hG4bKabc", "", Flaw::Branch),
        (";branch=z9hG4bKabc", ";branch=", Flaw::Value(Name::Via)),
        (";branch=z9hG4bKabc", ";branch=z9hG4bK", Flaw::Branch),
        (";branch=z9hG4bKabc", ";branch=abcdefghij", Flaw::Branch),
        (";tag=1", ";tag=", Flaw::Value(Name::From)),
        (";tag=1", ";tag=\"a b\"", Flaw::Value(Name::From)),
    ] {
        assert_eq!(
            parse(&good().replace(from, to)).err(),
            Some(flaw),
            "{from} {to}"
        );
    }
    assert!(parse(&good().replace("CSeq: 1 ", "CSeq: 2147483647 ")).is_ok());
    let long = good().replace("z9hG4bKabc", &format!("z9hG4bK{}", "a".repeat(300)));
    assert_eq!(parse(&long).err(), Some(Flaw::Branch));
}

#[test]
fn a40_smuggled_headers_and_start_lines() {
    for (from, to, flaw) in [
        ("\r\nTo:", "\r\nX\r\nTo:", Flaw::FieldSyntax),
        ("\r\nTo:", "\r\nX Y: 1\r\nTo:", Flaw::FieldSyntax),
        ("\r\nTo:", "\r\n: 1\r\nTo:", Flaw::FieldSyntax),
        ("\r\nTo:", "\nTo:", Flaw::LineEnd),
        ("\r\nTo:", "\rTo:", Flaw::LineEnd),
        ("\r\nTo:", "\r\nX: a\0b\r\nTo:", Flaw::Character),
        (
            "\r\nTo:",
            "\r\nt: <sip:x@y>\r\nTo:",
            Flaw::Duplicate(Name::To),
        ),
        (
            "\r\nTo:",
            "\r\nF: <sip:x@y>\r\nTo:",
            Flaw::Duplicate(Name::From),
        ),
        ("\r\nTo:", "\r\nI: x\r\nTo:", Flaw::Duplicate(Name::CallId)),
        (
            "\r\nTo:",
            "\r\nIdentity: x\r\ny: x\r\nTo:",
            Flaw::Duplicate(Name::Identity),
        ),
        ("To: <sip:bob@example.org>\r\n", "", Flaw::Missing(Name::To)),
        (
            "Via: SIP/2.0/WSS x.invalid;branch=z9hG4bKabc\r\n",
            "",
            Flaw::Missing(Name::Via),
        ),
        (
            "To: <sip:bob@example.org>",
            "To: <sip:bob@example.org",
            Flaw::Value(Name::To),
        ),
        (
            "To: <sip:bob@example.org>",
            "To: \"Bob <sip:bob@example.org>",
            Flaw::Value(Name::To),
        ),
        (
            "Max-Forwards: 70",
            "Max-Forwards: 256",
            Flaw::Value(Name::MaxForwards),
        ),
        (
            "Max-Forwards: 70",
            "Max-Forwards: -1",
            Flaw::Value(Name::MaxForwards),
        ),
        (
            "Max-Forwards: 70",
            "Max-Forwards: 70\r\nRoute: sip:x;lr",
            Flaw::Value(Name::Route),
        ),
        ("SIP/2.0\r\nVia", "SIP/7.0\r\nVia", Flaw::Version),
        ("SIP/2.0\r\nVia", "SIP/2.0 \r\nVia", Flaw::StartLine),
        ("OPTIONS sip", "OPTIONS  sip", Flaw::RequestUri),
        (
            "OPTIONS sip:bob@example.org",
            "OPTIONS <sip:bob@example.org>",
            Flaw::RequestUri,
        ),
        (
            "OPTIONS sip:bob@example.org",
            "OPTIONS sip:bob@example.org; lr",
            Flaw::RequestUri,
        ),
        ("OPTIONS sip", "OP TIONS sip", Flaw::RequestUri),
        ("OPTIONS sip", "OPT:IONS sip", Flaw::StartLine),
    ] {
        let text = good().replacen(from, to, 1);
        assert_eq!(parse(&text).err(), Some(flaw), "{to:?}");
    }
    for line in [
        "SIP/2.0 99 x",
        "SIP/2.0 700 x",
        "SIP/2.0 4294967301 x",
        "SIP/2.0 200",
        "SIP/2.0  200 OK",
        "SIP/2.0 2x0 OK",
    ] {
        let text = good().replacen("OPTIONS sip:bob@example.org SIP/2.0", line, 1);
        assert_eq!(parse(&text).err(), Some(Flaw::StartLine), "{line}");
    }
    let unreason = good().replacen(
        "OPTIONS sip:bob@example.org SIP/2.0",
        "SIP/2.0 200 = 2**3 * 5**2 но сто",
        1,
    );
    assert_eq!(
        parse(&unreason).unwrap().reason_phrase(),
        "= 2**3 * 5**2 но сто"
    );
    let noreason = good().replacen("OPTIONS sip:bob@example.org SIP/2.0", "SIP/2.0 100 ", 1);
    assert_eq!(parse(&noreason).unwrap().status(), Some(100));
}

#[test]
fn a41_count_and_size_are_capped() {
    let with = |more: String| parse(&good().replace("Content-Length", &(more + "Content-Length")));
    assert!(with("X: y\r\n".repeat(80)).is_ok());
    assert_eq!(with("X: y\r\n".repeat(200)).err(), Some(Flaw::HeadTooLarge));
    assert_eq!(
        with(format!("X: {}\r\n", "y".repeat(9000))).err(),
        Some(Flaw::HeadTooLarge)
    );
    assert_eq!(
        with(format!("X: {}\r\n", "y".repeat(6000)).repeat(5)).err(),
        Some(Flaw::HeadTooLarge)
    );
    assert_eq!(
        with(format!("X: y\r\n {}\r\n", "y\r\n ".repeat(3000))).err(),
        Some(Flaw::HeadTooLarge)
    );
    let body = good().replace("Content-Length: 0\r\n", "") + &"x".repeat(70_000);
    assert_eq!(parse(&body).err(), Some(Flaw::TooLarge));
}

#[test]
fn r054_refused_requests_can_be_answered_if_they_say_whom() {
    let answerable = |from: &str, to: &str| {
        let text = good().replacen(from, to, 1);
        Message::parse(text.into_bytes())
            .unwrap_err()
            .request
            .is_some()
    };
    assert!(answerable("SIP/2.0\r\nVia", "SIP/3.0\r\nVia"));
    assert!(answerable("Length: 0", "Length: 9"));
    assert!(answerable("CSeq: 1 O", "CSeq: 99999999999 O"));
    assert!(!answerable("Call-ID: c\r\n", ""));
    assert!(!answerable("Call-ID: c\r\n", "Call-ID: c\r\ni: d\r\n"));
    assert_eq!(Flaw::Version.status(), 505);
    assert_eq!(Flaw::HeadTooLarge.status(), 513);
    assert_eq!(Flaw::Duplicate(Name::To).to_string(), "more than one To");
}

#[test]
fn a35_letters_of_several_bytes_at_a_fixed_place_are_refused() {
    let line = good().replacen("OPTIONS", "OPꢧNS", 1);
    assert!(Message::parse(line.into_bytes()).is_err());
    let branch = good().replacen("z9hG4bKabc", "z9hG4bꢧbc", 1);
    assert!(Message::parse(branch.into_bytes()).is_err());
}
