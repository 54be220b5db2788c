use alloc::vec;

use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};

use super::*;

/// The token of RFC 8225, appendix A. (Its signature is of neither of the keys printed there.)
const RFC_8225: &str = concat!(
    "eyJhbGciOiJFUzI1NiIsInR5cCI6InBhc3Nwb3J0IiwieDV1IjoiaHR0cHM6Ly9jZXJ0LmV4YW1wbGUub3JnL3Bhc3Nwb3J0LmNlciJ9",
    ".eyJkZXN0Ijp7InVyaSI6WyJzaXA6YWxpY2VAZXhhbXBsZS5jb20iXX0sImlhdCI6MTQ3MTM3NTQxOCwib3JpZyI6eyJ0biI6IjEyMTU1NTUxMjEyIn19",
    ".VLBCIVDCaeK6M4hLJb6SHQvacAQVvoiiEOWQ_iUkqk79UD81fHQ0E1b3_GluIkba7UWYRM47ZbNFdOJquE35cw",
);

/// The ES256 token of RFC 7515, appendix A.3, and its key.
const RFC_7515: &str = concat!(
    "eyJhbGciOiJFUzI1NiJ9",
    ".eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ",
    ".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
);
const RFC_7515_KEY: [&str; 2] = [
    "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
    "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
];

fn claims() -> Claims {
    Claims {
        orig: "sip:alice@example.org".into(),
        dest: "sip:bob@example.org".into(),
        iat: 1_780_272_000,
        request: "call/7".into(),
        fingerprints: vec![Fingerprint {
            algorithm: "sha-256".into(),
            digest: (0..32).collect(),
        }],
        name: Some("A \"B\"".into()),
    }
}

#[test]
fn claims_have_one_form() {
    let input = signing_input(&claims(), b"certificate");
    let (header, payload) = input.split_once('.').unwrap();
    let (header, payload) = (text(header).unwrap(), text(payload).unwrap());
    assert!(read_header(&header).is_some());
    assert_eq!(read_claims(&payload), Some(claims()));
    let later = alloc::format!("{},\"vers\":[1]}}", payload.strip_suffix('}').unwrap());
    assert_eq!(
        read_claims(&later),
        Some(claims()),
        "what comes later is not for us"
    );
    let unnamed = payload.replace("\"nam\"", "\"icn\"");
    let nobody = Claims {
        name: None,
        ..claims()
    };
    assert_eq!(read_claims(&unnamed), Some(nobody));
    for (from, to) in [
        (":", ": "),
        ("\"jti\"", "\"jtj\""),
        ("\"iat\":1780272000,", ""),
        ("\"iat\":1780272000", "\"iat\":\"1780272000\""),
        ("\"uri\":[\"", "\"uri\":[\"sip:carol@example.org\",\""),
        ("[{\"alg\"", "[1,{\"alg\""),
        ("\"orig\":{\"uri\"", "\"orig\":{\"tn\""),
        ("\"nam\":\"A", "\"nam\":[\"A"),
    ] {
        let changed = payload.replace(from, to);
        assert_ne!(changed, payload, "{from}");
        assert_eq!(read_claims(&changed), None, "{changed}");
    }
    for changed in [
        payload.trim_end_matches('}').into(),
        alloc::format!("{payload}}}"),
        alloc::format!("{payload} "),
    ] {
        let changed: String = changed;
        assert_eq!(read_claims(&changed), None, "{changed}");
    }
    for (from, to) in [
        ("ES256", "none"),
        ("passport", "JWT"),
        ("\"x5c\"", "\"x5u\""),
        ("\"x5c\"", "\"crit\":[\"a\"],\"x5c\""),
        ("\"typ\"", "\"ppt\":\"shaken\",\"typ\""),
        ("]}", ",\"YQ==\"]}"),
        ("]}", "]}}"),
    ] {
        assert_eq!(read_header(&header.replacen(from, to, 1)), None, "{to}");
    }
}

#[test]
fn signature_of_rfc_7515_is_over_these_bytes_in_this_form() {
    let (signed, signature) = RFC_7515.rsplit_once('.').unwrap();
    let [x, y] = RFC_7515_KEY.map(|part| base64::read_url(part).unwrap());
    let key = credential::PublicKey::from_slice(&[x, y].concat()).unwrap();
    let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key.to_point());
    let signature = Signature::from_slice(&base64::read_url(signature).unwrap()).unwrap();
    assert!(key.verify(signed.as_bytes(), &signature.0).is_ok());
}

#[test]
fn a39_a_token_whose_certificate_would_have_to_be_fetched_is_refused() {
    let value = alloc::format!("{RFC_8225};info=<https://cert.example.org/passport.cer>;alg=ES256");
    assert_eq!(read(&value).err(), Some(IdentityError::Invalid));
}

/// A vector of `docs/protocol.md`, its lines joined.
fn vector(name: &str) -> String {
    let text = include_str!("../../../docs/protocol.md");
    let start = alloc::format!("```vector sip/{name}\n");
    let block = text.split_once(&start).unwrap().1;
    block.split_once("```").unwrap().0.replace('\n', "")
}

#[test]
fn r126_what_is_signed_byte_for_byte() {
    let input = signing_input(&claims(), b"certificate");
    let (header, payload) = input.split_once('.').unwrap();
    assert_eq!(text(header), Some(vector("identity-header")));
    assert_eq!(text(payload), Some(vector("identity-payload")));
    assert!(input.starts_with("eyJhbGciOiJFUzI1NiIsInR5cCI6InBhc3Nwb3J0IiwieDVjIjpb"));
    let value = write(&input, &Signature([0; 64]), "sip:alice@example.org");
    let end = alloc::format!(".{};info=<sip:alice@example.org>;alg=ES256", "A".repeat(86));
    assert!(value.ends_with(&end));
}

#[test]
fn a53_names_are_cleaned_and_bounded() {
    assert_eq!(clean(" \u{202e}A\r\nl\u{200b}ice\u{7} "), "Alice");
    assert_eq!(clean(&"é".repeat(100)).len(), MAXIMUM_NAME);
}

/// Flips every bit of a whole header: whatever can still be read differs in what is verified.
#[test]
fn a39_every_flipped_bit_changes_what_is_verified() {
    let parts = |value: &str| {
        let (token, rest) = value.split_once(';')?;
        let (signed, signature) = token.rsplit_once('.')?;
        let payload = signed.split_once('.')?.1;
        let claims = read_claims(&text(payload)?)?;
        (rest == &parameters(&claims.orig)[1..]).then_some(())?;
        Some((String::from(signed), base64::read_url(signature)?))
    };
    let value = write(
        &signing_input(&claims(), &[7; 300]),
        &Signature([9; 64]),
        "sip:alice@example.org",
    );
    let original = parts(&value);
    assert!(original.is_some());
    for at in 0..value.len() * 8 {
        let mut flipped = value.clone().into_bytes();
        flipped[at / 8] ^= 1 << (at % 8);
        if let Ok(flipped) = String::from_utf8(flipped) {
            assert_ne!(parts(&flipped), original, "{flipped}");
        }
    }
}
