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

    /// The members or elements of the value at a place.
    fn inner(&self, at: usize) -> impl Iterator<Item = (usize, &Node)> {
        let level = self.nodes[at].level;
        let below = self.nodes.iter().enumerate().skip(at + 1);
        let below = below.take_while(move |(_, node)| node.level < level);
        below.filter(move |(_, node)| node.level + 1 == level)
    }

    /// Follows the members' names, parted by dots, from the value at a place.
    fn find(&self, mut at: usize, path: &str) -> Option<usize> {
        for name in path.split('.') {
            let object = self.nodes[at].first == b'{';
            let mut members = self.inner(at).filter(|_| object);
            (at, _) = members.find(|(_, node)| node.name == name)?;
        }
        Some(at)
    }

    pub(super) fn has(&self, path: &str) -> bool {
        self.find(0, path).is_some()
    }

    fn text_at(&self, at: usize) -> Option<&str> {
        let node = &self.nodes[at];
        (node.first == b'"').then_some(&node.text)
    }

    pub(super) fn text(&self, path: &str) -> Option<&str> {
        self.text_at(self.find(0, path)?)
    }

    pub(super) fn number(&self, path: &str) -> Option<u64> {
        let node = &self.nodes[self.find(0, path)?];
        decimal(&node.text).filter(|_| node.first != b'"')
    }

    fn array(&self, path: &str) -> Option<Vec<usize>> {
        let at = self.find(0, path)?;
        let array = self.nodes[at].first == b'[';
        array.then(|| self.inner(at).map(|(at, _)| at).collect())
    }

    /// The text that is the only element of an array.
    pub(super) fn only(&self, path: &str) -> Option<&str> {
        match self.array(path)?[..] {
            [at] => self.text_at(at),
            _ => None,
        }
    }

    /// Two texts in each element of an array.
    pub(super) fn texts(&self, path: &str, names: [&str; 2]) -> Option<Vec<[&str; 2]>> {
        let mut all = Vec::new();
        for at in self.array(path)? {
            let [one, other] = names.map(|name| self.text_at(self.find(at, name)?));
            all.push([one?, other?]);
        }
        Some(all)
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
                let twice = self.json.inner(at).any(|(_, node)| node.name == name);
                if twice || !self.eat(":") {
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
    digits(whole) && !zero && digits(fraction) && digits(exponent)
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
        assert_eq!(list.len(), 5);
        assert_eq!(json.text_at(list[0]), Some("x\"\\A"));
        assert_eq!(json.text_at(list[1]), None);
        assert_eq!((json.number("b.d"), json.number("b.c")), (Some(7), None));
        assert_eq!((json.text("b.c"), json.text("b.d")), (Some("é"), None));
        assert_eq!((json.only("e"), json.only("a")), (Some("z"), None));
        assert_eq!(json.texts("f", ["g", "g"]), Some(alloc::vec![["h", "h"]]));
        assert_eq!(json.texts("e", ["g", "g"]), None);
        assert!(json.has("e") && !json.has("c") && !json.has("e."));
    }

    #[test]
    fn written_strings_are_read() {
        for text in ["", "a\"b\\c", "\u{1}\n\u{7f}é\u{1f600}", "</script>"] {
            let json = alloc::format!("\"{}\"", escaped(text));
            assert_eq!(Json::read(json.as_bytes()).unwrap().text_at(0), Some(text));
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
