//! JSON (RFC 8259) in the one form that a PASSporT has (RFC 8225, section 9): no blanks, no member twice.

use alloc::string::String;
use alloc::vec::Vec;

use crate::text::hex;

/// How deep a value may nest.
const DEPTH: u8 = 6;

/// A value. Truth values, null and fractions have no use in a token and are not told apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Text(String),
    Number(u64),
    Array(Vec<Value>),
    Object(Vec<(String, Value)>),
    Other,
}

impl Value {
    pub(super) fn member(&self, name: &str) -> Option<&Self> {
        let Self::Object(members) = self else {
            return None;
        };
        let mut members = members.iter();
        members
            .find(|(found, _)| found == name)
            .map(|(_, value)| value)
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        match self.member(name)? {
            Self::Text(text) => Some(text),
            Self::Number(_) | Self::Array(_) | Self::Object(_) | Self::Other => None,
        }
    }

    pub(super) fn array(&self) -> Option<&[Self]> {
        match self {
            Self::Array(values) => Some(values),
            Self::Text(_) | Self::Number(_) | Self::Object(_) | Self::Other => None,
        }
    }

    pub(super) fn number(&self) -> Option<u64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Text(_) | Self::Array(_) | Self::Object(_) | Self::Other => None,
        }
    }
}

/// Reads a text that is one value.
pub(super) fn read(bytes: &[u8]) -> Option<Value> {
    let mut reader = Reader {
        rest: core::str::from_utf8(bytes).ok()?,
    };
    let value = reader.value(DEPTH)?;
    reader.rest.is_empty().then_some(value)
}

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

struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    fn eat(&mut self, text: &str) -> bool {
        let rest = self.rest.strip_prefix(text);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn value(&mut self, depth: u8) -> Option<Value> {
        let inner = depth.checked_sub(1)?;
        match self.rest.as_bytes().first()? {
            b'"' => self.string().map(Value::Text),
            b'[' => self.array(inner),
            b'{' => self.object(inner),
            b'-' | b'0'..=b'9' => self.number(),
            _ => ["true", "false", "null"]
                .into_iter()
                .any(|word| self.eat(word))
                .then_some(Value::Other),
        }
    }

    fn array(&mut self, depth: u8) -> Option<Value> {
        let mut values = Vec::new();
        self.rest = &self.rest[1..];
        if self.eat("]") {
            return Some(Value::Array(values));
        }
        loop {
            values.push(self.value(depth)?);
            if self.eat("]") {
                return Some(Value::Array(values));
            }
            if !self.eat(",") {
                return None;
            }
        }
    }

    fn object(&mut self, depth: u8) -> Option<Value> {
        let mut members: Vec<(String, Value)> = Vec::new();
        self.rest = &self.rest[1..];
        if self.eat("}") {
            return Some(Value::Object(members));
        }
        loop {
            let name = self.string()?;
            if !self.eat(":") || members.iter().any(|(other, _)| *other == name) {
                return None;
            }
            members.push((name, self.value(depth)?));
            if self.eat("}") {
                return Some(Value::Object(members));
            }
            if !self.eat(",") {
                return None;
            }
        }
    }

    fn number(&mut self) -> Option<Value> {
        let end = self.rest.find([',', ']', '}']).unwrap_or(self.rest.len());
        let (text, rest) = self.rest.split_at(end);
        self.rest = rest;
        let digits = text.bytes().all(|b| b.is_ascii_digit());
        if digits && (text == "0" || !text.starts_with('0')) {
            return text.parse().ok().map(Value::Number);
        }
        (!digits && is_fraction(text)).then_some(Value::Other)
    }

    fn string(&mut self) -> Option<String> {
        let mut text = String::new();
        let mut characters = self.rest.strip_prefix('"')?.char_indices();
        while let Some((at, character)) = characters.next() {
            match character {
                '"' => {
                    self.rest = &self.rest[at + 2..];
                    return Some(text);
                }
                '\\' => text.push(escape(&mut characters)?),
                '\0'..='\x1f' => return None,
                _ => text.push(character),
            }
        }
        None
    }
}

/// Says whether a text is a number with a sign, fraction or exponent.
fn is_fraction(text: &str) -> bool {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (
            mantissa,
            exponent.strip_prefix(['+', '-']).unwrap_or(exponent),
        ),
        None => (text, "0"),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, "0"));
    let whole = whole.strip_prefix('-').unwrap_or(whole);
    digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && digits(fraction)
        && digits(exponent)
}

/// Reads what follows a backslash. Halves of a surrogate pair are refused, whole pairs too: UTF-8 needs none.
fn escape(characters: &mut core::str::CharIndices<'_>) -> Option<char> {
    match characters.next()?.1 {
        c @ ('"' | '\\' | '/') => Some(c),
        'b' => Some('\u{8}'),
        'f' => Some('\u{c}'),
        'n' => Some('\n'),
        'r' => Some('\r'),
        't' => Some('\t'),
        'u' => {
            let mut code = 0;
            for _ in 0..4 {
                code = code * 16 + characters.next()?.1.to_digit(16)?;
            }
            char::from_u32(code)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_value_of_every_kind() {
        let value = read(br#"{"a":["x\"\\\u0041",7,true,-1.5,{}],"b":{"c":"\u00e9"}}"#).unwrap();
        let list = value.member("a").and_then(Value::array).unwrap();
        assert_eq!(list[0], Value::Text("x\"\\A".into()));
        assert_eq!((list[1].number(), list[2].number()), (Some(7), None));
        assert_eq!(value.member("b").unwrap().text("c"), Some("é"));
    }

    #[test]
    fn written_strings_are_read() {
        for text in ["", "a\"b\\c", "\u{1}\n\u{7f}é\u{1f600}", "</script>"] {
            let json = alloc::format!("\"{}\"", escaped(text));
            assert_eq!(read(json.as_bytes()), Some(Value::Text(text.into())));
        }
    }

    #[test]
    fn strict() {
        for bad in [
            "",
            "{",
            "[",
            "[1",
            "[1,]",
            "{\"a\"}",
            "{\"a\":1,}",
            "{\"a\":1,\"a\":2}",
            " 1",
            "1 ",
            "01",
            "\"a",
            "\"\\x\"",
            "\"\\ud83d\"",
            "\"\n\"",
            "nul",
            "tru",
            "[[[[[[1]]]]]]",
            "--1",
            "1e",
            "+1",
            "99999999999999999999",
            "NaN",
            "inf",
        ] {
            assert_eq!(read(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(read(b"\"\xff\""), None);
    }
}
