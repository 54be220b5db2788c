//! JSON (RFC 8259) in the one form that a PASSporT has (RFC 8225, section 9): no blanks, no member twice.

use alloc::string::String;
use alloc::vec::Vec;

use crate::message::decimal;
use crate::text::hex;

/// How deep a value may nest.
const DEPTH: u8 = 6;

/// A text that is one value: its values in the order in which they begin, the whole first.
#[derive(Debug)]
pub(super) struct Json {
    nodes: Vec<Node>,
}

#[derive(Debug)]
struct Node {
    /// How many levels there may be below.
    level: u8,
    /// The name of a member; empty in an array.
    name: String,
    /// The byte with which it begins, which tells its kind.
    first: u8,
    /// A string without its escapes, a number as written.
    text: String,
}

impl Json {
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader {
            rest: core::str::from_utf8(bytes).ok()?,
            json: Self { nodes: Vec::new() },
        };
        reader.value(String::new(), DEPTH)?;
        reader.rest.is_empty().then_some(reader.json)
    }

    /// The place of the first member or element behind `after` of the value at a place, which itself stands before the
    /// first of all.
    pub(super) fn next(&self, at: usize, mut after: usize) -> Option<usize> {
        let level = self.nodes[at].level;
        loop {
            after += 1;
            let node = self.nodes.get(after).filter(|node| node.level < level)?;
            if node.level + 1 == level {
                return Some(after);
            }
        }
    }

    fn member(&self, at: usize, name: &str) -> Option<usize> {
        let object = self.nodes[at].first == b'{';
        let mut member = self.next(at, at).filter(|_| object)?;
        while self.nodes[member].name != name {
            member = self.next(at, member)?;
        }
        Some(member)
    }

    /// Follows the members' names, parted by dots, from the value at a place.
    fn find(&self, mut at: usize, path: &str) -> Option<usize> {
        for name in path.split('.') {
            at = self.member(at, name)?;
        }
        Some(at)
    }

    pub(super) fn has(&self, path: &str) -> bool {
        self.find(0, path).is_some()
    }

    /// The text that a path leads to from the value at a place.
    pub(super) fn text_at(&self, at: usize, path: &str) -> Option<&str> {
        self.nodes[self.find(at, path)?].as_text()
    }

    pub(super) fn text(&self, path: &str) -> Option<&str> {
        self.text_at(0, path)
    }

    pub(super) fn number(&self, path: &str) -> Option<u64> {
        let node = &self.nodes[self.find(0, path)?];
        decimal(&node.text).filter(|_| node.first != b'"')
    }

    /// The place of an array.
    pub(super) fn array(&self, path: &str) -> Option<usize> {
        self.find(0, path)
            .filter(|at| self.nodes[*at].first == b'[')
    }

    /// The text that is the only element of an array.
    pub(super) fn only(&self, path: &str) -> Option<&str> {
        let array = self.array(path)?;
        let element = self.next(array, array)?;
        let text = self.nodes[element].as_text();
        text.filter(|_| self.next(array, element).is_none())
    }
}

impl Node {
    fn as_text(&self) -> Option<&str> {
        (self.first == b'"').then_some(&self.text)
    }
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
    json: Json,
}

impl Reader<'_> {
    fn eat(&mut self, text: &str) -> bool {
        let rest = self.rest.strip_prefix(text);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn value(&mut self, name: String, level: u8) -> Option<()> {
        let first = *self.rest.as_bytes().first()?;
        let at = self.json.nodes.len();
        let inner = level.checked_sub(1)?;
        self.json.nodes.push(Node {
            level,
            name,
            first,
            text: String::new(),
        });
        match first {
            b'[' => self.all("[", "]", at, inner),
            b'{' => self.all("{", "}", at, inner),
            b'"' => {
                self.json.nodes[at].text = self.string()?;
                Some(())
            }
            b'-' | b'0'..=b'9' => {
                let end = self.rest.find([',', ']', '}']).unwrap_or(self.rest.len());
                let (number, rest) = self.rest.split_at(end);
                self.json.nodes[at].text = number.into();
                self.rest = rest;
                is_number(number).then_some(())
            }
            _ => {
                let mut words = ["true", "false", "null"].into_iter();
                words.any(|word| self.eat(word)).then_some(())
            }
        }
    }

    /// Reads the members or elements of the value at a place.
    fn all(&mut self, open: &str, close: &str, at: usize, level: u8) -> Option<()> {
        self.eat(open);
        if self.eat(close) {
            return Some(());
        }
        loop {
            let mut name = String::new();
            if close == "}" {
                name = self.string()?;
                if self.json.member(at, &name).is_some() || !self.eat(":") {
                    return None;
                }
            }
            self.value(name, level)?;
            if self.eat(close) {
                return Some(());
            }
            if !self.eat(",") {
                return None;
            }
        }
    }

    fn string(&mut self) -> Option<String> {
        let mut text = String::new();
        let mut characters = self.rest.strip_prefix('"')?.chars();
        loop {
            match characters.next()? {
                '"' => {
                    self.rest = characters.as_str();
                    return Some(text);
                }
                '\\' => text.push(escape(&mut characters)?),
                '\0'..='\x1f' => return None,
                character => text.push(character),
            }
        }
    }
}

/// Says whether a text is a number, perhaps with a sign, fraction or exponent.
fn is_number(text: &str) -> bool {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, "0"));
    let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    let whole = whole.strip_prefix('-').unwrap_or(whole);
    let zero = whole.starts_with('0') && whole.len() > 1;
    // Longer ones would not fit what they are read into.
    let sound = digits(whole) && whole.len() < 20 && !zero;
    sound && digits(fraction) && digits(exponent)
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

    #[test]
    fn one_value_of_every_kind() {
        let text = br#"{"a":["x\"\\\u0041",7,true,-1.5,{}],"b":{"c":"\u00e9","d":7},"e":["z"],"f":[{"g":"h"}]}"#;
        let json = Json::read(text).unwrap();
        let list = json.array("a").unwrap();
        let first = json.next(list, list).unwrap();
        assert_eq!(json.nodes[first].as_text(), Some("x\"\\A"));
        let second = json.next(list, first).unwrap();
        assert_eq!(json.nodes[second].as_text(), None);
        let mut count = 2;
        let mut last = second;
        while let Some(next) = json.next(list, last) {
            (count, last) = (count + 1, next);
        }
        assert_eq!(count, 5);
        assert_eq!((json.number("b.d"), json.number("b.c")), (Some(7), None));
        assert_eq!((json.text("b.c"), json.text("b.d")), (Some("é"), None));
        assert_eq!((json.only("e"), json.only("a")), (Some("z"), None));
        let inner = json.array("f").and_then(|at| json.next(at, at)).unwrap();
        assert_eq!(json.text_at(inner, "g"), Some("h"));
        assert!(json.has("e") && !json.has("c") && !json.has("e."));
    }

    #[test]
    fn written_strings_are_read() {
        for text in ["", "a\"b\\c", "\u{1}\n\u{7f}é\u{1f600}", "</script>"] {
            let json = alloc::format!("\"{}\"", escaped(text));
            assert_eq!(
                Json::read(json.as_bytes()).unwrap().nodes[0].as_text(),
                Some(text)
            );
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
            assert!(Json::read(bad.as_bytes()).is_none(), "{bad}");
        }
        assert!(Json::read(b"\"\xff\"").is_none());
    }
}
