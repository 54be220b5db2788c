//! JSON in the one form that a PASSporT has (RFC 8225, section 9): members in the order of their names, no blanks. So it is
//! read along the text that is expected.

use alloc::string::String;

use crate::message::decimal;
use crate::text::hex;

/// A text as it stands between quotes.
pub(super) fn escaped(text: &str) -> String {
    let mut json = String::new();
    for character in text.chars() {
        match character {
            '"' | '\\' => json.push('\\'),
            '\0'..='\x1f' => {
                json.push_str("\\u00");
                hex(&mut json, &[character as u8], "");
                continue;
            }
            _ => {}
        }
        json.push(character);
    }
    json
}

/// What is still to be read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'a>(pub(super) &'a str);

impl Reader<'_> {
    /// Goes behind this text, if it comes next.
    pub(super) fn eat(&mut self, text: &str) -> Option<()> {
        self.0 = self.0.strip_prefix(text)?;
        Some(())
    }

    /// Goes behind this text, a string, and another text.
    pub(super) fn string(&mut self, before: &str, behind: &str) -> Option<String> {
        self.eat(before)?;
        let mut text = String::new();
        let mut characters = self.0.strip_prefix('"')?.chars();
        loop {
            text.push(match characters.next()? {
                '"' => break,
                '\\' => escape(&mut characters)?,
                '\0'..='\x1f' => return None,
                character => character,
            });
        }
        self.0 = characters.as_str();
        self.eat(behind)?;
        Some(text)
    }

    /// Goes behind a whole number.
    pub(super) fn number(&mut self) -> Option<u64> {
        let end = self.0.find([',', '}'])?;
        let (number, rest) = self.0.split_at(end);
        self.0 = rest;
        decimal(number)
    }
}

/// Reads what follows a backslash. Halves of a surrogate pair are refused, whole pairs too: UTF-8 needs none.
fn escape(characters: &mut core::str::Chars<'_>) -> Option<char> {
    match characters.next()? {
        c @ ('"' | '\\' | '/') => Some(c),
        'b' => Some('\u{8}'),
        'f' => Some('\u{c}'),
        'n' => Some('\n'),
        'r' => Some('\r'),
        't' => Some('\t'),
        'u' => {
            let mut code = 0;
            for _ in 0..4 {
                code = code * 16 + characters.next()?.to_digit(16)?;
            }
            char::from_u32(code)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn string(json: &str) -> Option<String> {
        Reader(json).string("", "")
    }

    #[test]
    fn written_strings_are_read() {
        for text in ["", "a\"b\\c", "\u{1}\n\u{7f}é\u{1f600}", "</script>"] {
            let json = alloc::format!("\"{}\"", escaped(text));
            assert_eq!(string(&json).as_deref(), Some(text));
        }
        let others = r#""x\"\\\/\b\f\n\r\t\u0041\u00e9""#;
        assert_eq!(string(others).as_deref(), Some("x\"\\/\u{8}\u{c}\n\r\tAé"));
    }

    #[test]
    fn strict() {
        for bad in [
            "",
            "a",
            "\"a",
            "\"\\x\"",
            "\"\\ud83d\"",
            "\"\n\"",
            "\"\\\"",
            "\"\\u00",
            "1",
        ] {
            assert_eq!(string(bad), None, "{bad}");
        }
        for bad in [
            "",
            "7",
            "-1,",
            "+1,",
            "1.5,",
            "1e3,",
            "\"1\",",
            ",",
            "99999999999999999999,",
        ] {
            assert_eq!(Reader(bad).number(), None, "{bad}");
        }
        let mut reader = Reader("7,\"a\"}");
        assert_eq!(reader.number(), Some(7));
        assert_eq!(reader.string(";", ""), None);
        assert_eq!(reader.string(",", "}").as_deref(), Some("a"));
    }
}
