//! What a fuzzer begins with: good messages, to be spoilt.

use crate::Target;

const SIP: &[&str] = &[
    "INVITE sip:bob@example.org;gr=urn:uuid:0202 SIP/2.0\r\nVia: SIP/2.0/WSS a.invalid;branch=z9hG4bK1\r\n\
     Route: <sip:2222222222222222222222222222222222222222.sn;lr>\r\nMax-Forwards: 70\r\n\
     From: \"Alice\" <sip:alice@example.org>;tag=a\r\nTo: <sip:bob@example.org>\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\n\
     Contact: <sip:alice@example.org;gr=urn:uuid:0101>;sn=\"11.22\"\r\nSupported: 100rel, trickle-ice\r\n\
     Content-Type: application/sdp\r\nContent-Length: 5\r\n\r\nv=0\r\n",
    "SIP/2.0 180 Ringing\r\nv: SIP/2.0/WS a.invalid;branch=z9hG4bK1;received=192.0.2.1\r\nf: <sip:a@b>;tag=1\r\n\
     t: sip:b@b;tag=2\r\ni: c\r\nCSeq: 1 INVITE\r\nRSeq: 7\r\nRequire: 100rel\r\nl: 0\r\n\r\n",
    "sips:%61lice:word@[2001:db8::1]:5061;transport=tls;lr?subject=a&to=b",
    "\"A \\\" B\" <sip:alice@example.org:5060;user=phone>;tag=1;expires=60",
    "SIP / 2.0 / UDP first.example.com: 4000;ttl=16;maddr=224.2.0.1 ;branch=z9hG4bKa7c6a8dlze.1",
    "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\na=fingerprint:sha-256 00:01\r\n\
     m=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\na=mid:0\r\na=ice-ufrag:abcd\r\na=setup:actpass\r\n\
     a=candidate:1 1 UDP 2130706431 192.0.2.1 4000 typ host\r\n",
];

const DIGEST: &[&str] = &[
    "Digest username=\"a\", realm=\"b\", nonce=\"AAAA\", uri=\"sip:b\", algorithm=SHA-256, qop=auth, nc=00000001, \
     cnonce=\"c\", response=\"753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1\"",
    "Digest realm=\"b\", nonce=\"AAAA\", algorithm=MD5, qop=\"auth,auth-int\", opaque=\"x\\\"\", stale=true",
];

/// A Binding request with FINGERPRINT (RFC 8489 §5 and §14.7); an Allocate request, a Send indication and ChannelData
/// (RFC 8656).
const STUN: [&[u8]; 4] = [
    b"\0\x01\0\x08\x21\x12\xa4\x42abcdefghijkl\x80\x28\0\x04\0\0\0\0",
    b"\0\x03\0\x10\x21\x12\xa4\x42abcdefghijkl\0\x19\0\x04\x11\0\0\0\0\x06\0\x03ann\0",
    b"\0\x16\0\x14\x21\x12\xa4\x42abcdefghijkl\0\x12\0\x08\0\x01\0\x01abcd\0\x13\0\x01x\0\0\0",
    b"\x40\0\0\x05hello\0\0\0",
];

/// Good messages for a target: vectors of `docs/protocol.md`, and some that stand here.
#[must_use]
pub fn seeds(target: &Target) -> Vec<Vec<u8>> {
    let page = include_str!("../../docs/protocol.md");
    let blocks = page.split("```vector ").skip(1).filter_map(|block| {
        let (name, rest) = block.split_once('\n')?;
        let (contents, _) = rest.split_once("```")?;
        name.starts_with(target.vectors).then(|| read(contents))
    });
    let mut seeds: Vec<Vec<u8>> = blocks
        .map(|bytes| bytes.get(target.envelope..).unwrap_or_default().to_vec())
        .collect();
    match target.vectors {
        "sip/" => seeds.extend(SIP.iter().map(|text| text.as_bytes().to_vec())),
        "digest/" => seeds.extend(DIGEST.iter().map(|text| text.as_bytes().to_vec())),
        "stun/" => seeds.extend(STUN.map(<[u8]>::to_vec)),
        _ => {}
    }
    seeds
}

/// A vector's block: digits, or a text whose line breaks are for reading only.
fn read(block: &str) -> Vec<u8> {
    let line = block.replace('\n', "");
    let digits = line.as_bytes().chunks(2).map(|pair| {
        let pair = core::str::from_utf8(pair).ok()?;
        u8::from_str_radix(pair, 16).ok()
    });
    digits
        .collect::<Option<Vec<u8>>>()
        .unwrap_or_else(|| line.into_bytes())
}
