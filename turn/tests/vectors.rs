//! The test vectors of RFC 5769 and RFC 8489 appendix B: all that is proved by a password.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]
use turn::{Algorithm, Integrity, Key, Message, attribute};

/// RFC 5769 §2.1 to §2.3: short-term credential.
const SHORT: [&str; 3] = [
    "000100582112a442b7e7a701bc34d686fa87dfae802200105354554e207465737420636c69656e74002400046e0001ff80290008932ff9b1\
     51263b36000600096576746a3a68367659202020000800149aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a280280004e57a3bcf",
    "0101003c2112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220002000080001a147e112a643000800142b91f599\
     fd9e90c38c7489f92af9ba53f06be7d780280004c07d4c96",
    "010100482112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220002000140002a1470113a9faa5d3f179bc25f4b5\
     bed2b9d900080014a382954e4be67bf11784c97c8292c275bfe3ed4180280004c8fb0b4c",
];
/// RFC 5769 §2.4: long-term credential.
const LONG: &str = "000100602112a44278ad3433c6ad72c029da412e00060012e3839ee38388e383aae38383e382af\
     e382b900000015001c662f2f3439396b39353464364f4c33346f4c394653547679363473410014000b6578616d706c652e6f72670000080014\
     f67024656dd64a3e02b8e0712e85c9a28ca89666";
/// RFC 8489 §B.1: the same with SHA-256.
const LONG_SHA256: &str = "000100902112a44278ad3433c6ad72c029da412e001e00204a3cf38fef6992bda952c6780417da0f24819415569e60b205c46e41407f170400\
     15002 96f624d61744a6f733241414143662f2f3439396b39353464364f4c33346f4c394653547679363473410000000014000b6578616d706c652e6f726700\
     001d000400020000001c0020b5c7bf005b6c52a21c51c5e892f81924136296cb927c43149309278cc6518e65";

fn hex(text: &str) -> Vec<u8> {
    let text: String = text.split_whitespace().collect();
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

#[test]
fn r113_short_term_vectors_are_proved_by_their_password_alone() {
    for vector in SHORT {
        let bytes = hex(vector);
        let message = Message::read(&bytes).unwrap();
        assert!(message.is_proved(Integrity::Sha1, &Key::short_term("VOkJxbRl1RmTxUk/WvJxBt")));
        assert!(!message.is_proved(Integrity::Sha1, &Key::short_term("VOkJxbRl1RmTxUk/WvJxBu")));
    }
}

#[test]
fn r113_the_long_term_vector_is_proved() {
    let bytes = hex(LONG);
    let message = Message::read(&bytes).unwrap();
    let name = "\u{30DE}\u{30C8}\u{30EA}\u{30C3}\u{30AF}\u{30B9}";
    assert_eq!(
        message.attribute(attribute::USERNAME),
        Some(name.as_bytes())
    );
    let key = Key::long_term(Algorithm::Md5, name.as_bytes(), "example.org", "TheMatrIX");
    assert!(message.is_proved(Integrity::Sha1, &key));
    assert!(!message.is_proved(Integrity::Sha256, &key));
}

#[test]
fn r113_the_sha256_vector_is_proved() {
    let bytes = hex(LONG_SHA256);
    let message = Message::read(&bytes).unwrap();
    let name = "\u{30DE}\u{30C8}\u{30EA}\u{30C3}\u{30AF}\u{30B9}";
    assert_eq!(
        message.attribute(attribute::USERHASH),
        Some(&turn::user_hash(name, "example.org")[..])
    );
    let key = Key::long_term(
        Algorithm::Sha256,
        name.as_bytes(),
        "example.org",
        "TheMatrIX",
    );
    assert!(message.is_proved(Integrity::Sha256, &key));
}
