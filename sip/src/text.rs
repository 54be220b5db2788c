//! Text by template. `core::fmt` does the same with ten times the code, which counts in a browser.

use alloc::string::String;

/// Appends `template`, each `%` in it replaced by the next of `values`. Control characters in a value become blanks, so
/// that no value ends its line.
pub(crate) fn fill(text: &mut String, template: &str, values: &[&str]) {
    let mut parts = template.split('%');
    text.push_str(parts.next().unwrap_or(""));
    for (value, part) in values.iter().zip(parts) {
        for character in value.chars() {
            let control = character.is_ascii_control();
            text.push(if control { ' ' } else { character });
        }
        text.push_str(part);
    }
}

/// A template filled in.
pub(crate) fn filled(template: &str, values: &[&str]) -> String {
    let mut text = String::new();
    fill(&mut text, template, values);
    text
}

/// Texts put together.
#[must_use]
pub fn joined(parts: &[&str]) -> String {
    let mut text = String::new();
    for part in parts {
        text.push_str(part);
    }
    text
}

/// A number in decimal digits.
#[must_use]
pub fn digits(number: u64) -> String {
    let mut digits = match number / 10 {
        0 => String::new(),
        tens => self::digits(tens),
    };
    digits.push(char::from(b'0' + (number % 10) as u8));
    digits
}

/// Appends bytes as pairs of upper-case hexadecimal digits, with `between` between the pairs.
pub(crate) fn hex(text: &mut String, bytes: &[u8], between: &str) {
    for (place, byte) in bytes.iter().enumerate() {
        text.push_str(if place == 0 { "" } else { between });
        for digit in [byte >> 4, byte & 15] {
            text.push(char::from(b"0123456789ABCDEF"[usize::from(digit)]));
        }
    }
}

/// Reads a pair of hexadecimal digits in either case.
pub(crate) fn octet(pair: &[u8]) -> Option<u8> {
    let [high, low] = *pair else { return None };
    let digit = |byte: u8| char::from(byte).to_digit(16);
    Some((digit(high)? << 4 | digit(low)?) as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_numbers_and_digits() {
        assert_eq!(filled("a: %;%\r\n", &["1", "2\r\n3"]), "a: 1;2  3\r\n");
        assert_eq!((digits(0), digits(4096)), ("0".into(), "4096".into()));
        assert_eq!(digits(u64::MAX), "18446744073709551615");
        let mut text = String::new();
        hex(&mut text, &[0, 0xab], ":");
        assert_eq!(text, "00:AB");
        assert_eq!(
            (octet(b"aB"), octet(b"+1"), octet(b"1")),
            (Some(0xab), None, None)
        );
    }
}
