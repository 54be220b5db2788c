//! Base64 (RFC 4648), read strictly: one text for one sequence of bytes.

use alloc::string::String;
use alloc::vec::Vec;

const URL: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const PLAIN: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Appends bytes in the URL-safe alphabet, without padding.
pub(crate) fn write_url(bytes: &[u8], text: &mut String) {
    write(bytes, URL, text);
}

/// Appends bytes in the plain alphabet, with padding.
pub(crate) fn write_plain(bytes: &[u8], text: &mut String) {
    write(bytes, PLAIN, text);
    for _ in 0..(3 - bytes.len() % 3) % 3 {
        text.push('=');
    }
}

/// Reads the URL-safe alphabet without padding.
pub(crate) fn read_url(text: &str) -> Option<Vec<u8>> {
    read(text.as_bytes(), URL)
}

/// Reads the plain alphabet with padding.
pub(crate) fn read_plain(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(4) {
        return None;
    }
    let digits = text.strip_suffix('=').unwrap_or(text);
    let digits = digits.strip_suffix('=').unwrap_or(digits);
    read(digits.as_bytes(), PLAIN)
}

fn write(bytes: &[u8], alphabet: &[u8; 64], text: &mut String) {
    for group in bytes.chunks(3) {
        let byte = |at: usize| u32::from(group.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for at in 0..=group.len() {
            let digit = bits >> (18 - 6 * at) & 63;
            text.push(char::from(alphabet[digit as usize]));
        }
    }
}

fn read(digits: &[u8], alphabet: &[u8; 64]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(digits.len() / 4 * 3 + 2);
    for group in digits.chunks(4) {
        let mut bits = 0_u32;
        for digit in group {
            bits = bits << 6 | value(*digit, alphabet)?;
        }
        bits <<= 6 * (4 - group.len());
        let count = group.len().checked_sub(1).filter(|count| *count > 0)?;
        let all = bits.to_be_bytes();
        if all[1 + count..].iter().any(|byte| *byte != 0) {
            return None;
        }
        bytes.extend_from_slice(&all[1..=count]);
    }
    Some(bytes)
}

fn value(digit: u8, alphabet: &[u8; 64]) -> Option<u32> {
    let value = match digit {
        b'A'..=b'Z' => digit - b'A',
        b'a'..=b'z' => digit - b'a' + 26,
        b'0'..=b'9' => digit - b'0' + 52,
        _ if digit == alphabet[62] => 62,
        _ if digit == alphabet[63] => 63,
        _ => return None,
    };
    Some(u32::from(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_of_rfc_4648() {
        for (bytes, plain) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("foobar", "Zm9vYmFy"),
        ] {
            let mut text = String::new();
            write_plain(bytes.as_bytes(), &mut text);
            assert_eq!(text, plain);
            assert_eq!(read_plain(plain).as_deref(), Some(bytes.as_bytes()));
            assert_eq!(
                read_url(plain.trim_end_matches('=')).as_deref(),
                Some(bytes.as_bytes())
            );
        }
    }

    #[test]
    fn one_text_only() {
        for bad in ["Zh", "Zm9=", "Z", "Zm9v=", "Zm 9", "Zm9vY"] {
            assert_eq!(read_url(bad), None, "{bad}");
        }
        for bad in ["Zg", "Zg=", "Zg===", "Zh==", "Zm9v====", "Zm8-"] {
            assert_eq!(read_plain(bad), None, "{bad}");
        }
        assert_eq!(read_url("-_8"), Some(alloc::vec![0xfb, 0xff]));
    }
}
