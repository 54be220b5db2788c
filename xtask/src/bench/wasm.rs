//! Reads of a WebAssembly module only what tells where its bytes come from: function bodies, their names, data.
//!
//! Layout (WebAssembly core specification, section 5.5): `magic version (id:u8 size:u32 content)*`, numbers in LEB128.

use anyhow::{Context, Result};
use std::collections::BTreeMap;

const CUSTOM: u8 = 0;
const IMPORT: u8 = 2;
const CODE: u8 = 10;
const DATA: u8 = 11;

/// Bytes of a module by the crate that they were compiled from.
pub(super) struct Cost {
    /// Crate name and the bytes of its functions.
    pub(super) crates: BTreeMap<String, usize>,
    /// Bytes of the data section.
    pub(super) data: usize,
}

/// Adds up the function bodies of a module that still has its names.
pub(super) fn cost(module: &[u8]) -> Result<Cost> {
    read(module).context("not a WebAssembly module that this reader understands")
}

fn read(module: &[u8]) -> Option<Cost> {
    let mut rest = Reader(module.strip_prefix(b"\0asm\x01\0\0\0")?);
    let (mut imported, mut data) = (0, 0);
    let mut bodies = Vec::new();
    let mut names = BTreeMap::new();
    while !rest.0.is_empty() {
        let id = rest.byte()?;
        let mut section = rest.block()?;
        match id {
            IMPORT => imported = imported_functions(&mut section)?,
            CODE => {
                for _ in 0..section.number()? {
                    bodies.push(section.block()?.0.len());
                }
            }
            DATA => data = section.0.len(),
            CUSTOM if section.block()?.0 == b"name" => names = function_names(&mut section)?,
            _ => {}
        }
    }
    let mut crates = BTreeMap::new();
    for (number, size) in bodies.into_iter().enumerate() {
        let name = names.get(&(imported + number)).copied().unwrap_or("");
        *crates.entry(home(name)).or_default() += size;
    }
    Some(Cost { crates, data })
}

fn imported_functions(section: &mut Reader<'_>) -> Option<usize> {
    let mut functions = 0;
    for _ in 0..section.number()? {
        section.block()?;
        section.block()?;
        match section.byte()? {
            0 => {
                section.number()?;
                functions += 1;
            }
            1 => {
                section.byte()?;
                limits(section)?;
            }
            2 => limits(section)?,
            3 => {
                section.byte()?;
                section.byte()?;
            }
            _ => return None,
        }
    }
    Some(functions)
}

fn limits(section: &mut Reader<'_>) -> Option<()> {
    let flags = section.byte()?;
    section.number()?;
    if flags & 1 == 1 {
        section.number()?;
    }
    Some(())
}

fn function_names<'a>(section: &mut Reader<'a>) -> Option<BTreeMap<usize, &'a str>> {
    let mut names = BTreeMap::new();
    while !section.0.is_empty() {
        let kind = section.byte()?;
        let mut part = section.block()?;
        if kind == 1 {
            for _ in 0..part.number()? {
                let number = part.number()?;
                names.insert(number, std::str::from_utf8(part.block()?.0).ok()?);
            }
        }
    }
    Some(names)
}

/// The crate that a function belongs to: for `<sip::Message as core::fmt::Debug>::fmt` that is `sip`.
fn home(symbol: &str) -> String {
    let name = format!("{:#}", rustc_demangle::demangle(symbol));
    let first =
        name.split(|letter: char| !(letter.is_alphanumeric() || letter == '_' || letter == ':'));
    let paths: Vec<&str> = first
        .filter_map(|path| path.split_once("::").map(|(first, _)| first))
        .collect();
    let ours = |path: &&&str| !matches!(**path, "core" | "alloc" | "std" | "");
    let generic = name.starts_with('<');
    let chosen = if generic {
        paths.iter().find(ours).or(paths.first())
    } else {
        paths.first()
    };
    match chosen {
        Some(name) if !name.is_empty() => (*name).to_owned(),
        _ => "(other)".to_owned(),
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn number(&mut self) -> Option<usize> {
        let mut value = 0;
        for shift in (0..35).step_by(7) {
            let byte = self.byte()?;
            value |= usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    /// A length and that many bytes.
    fn block(&mut self) -> Option<Reader<'a>> {
        let length = self.number()?;
        let (block, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(Reader(block))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_belongs_to_the_crate_of_its_type() {
        assert_eq!(home("sip::parse::message"), "sip");
        assert_eq!(home("<sip::Message as core::fmt::Debug>::fmt"), "sip");
        assert_eq!(
            home("<alloc::vec::Vec<sip::Header> as core::ops::Drop>::drop"),
            "sip"
        );
        assert_eq!(home("core::ptr::drop_in_place<sip::Message>"), "core");
        assert_eq!(
            home("_ZN4core3fmt9Formatter3pad17h0123456789abcdefE"),
            "core"
        );
        assert_eq!(home("memcpy"), "(other)");
    }

    #[test]
    fn bodies_are_charged_past_the_imports() {
        let imports = [1, 1, b'e', 1, b'f', 0, 0];
        let bodies = [2, 2, 0, 0x0b, 3, 0, 1, 0x0b];
        let names = [
            4, b'n', b'a', b'm', b'e', 1, 11, 2, 1, 4, b's', b':', b':', b'a', 2, 2, b'x', b'y',
        ];
        let mut module = b"\0asm\x01\0\0\0".to_vec();
        for (id, content) in [
            (IMPORT, &imports[..]),
            (CODE, &bodies[..]),
            (CUSTOM, &names[..]),
        ] {
            module.extend([id, content.len() as u8]);
            module.extend(content);
        }
        let cost = cost(&module).unwrap();
        assert_eq!(cost.crates.get("s"), Some(&2));
        assert_eq!(cost.crates.get("(other)"), Some(&3));
    }

    #[test]
    fn a_torn_module_is_refused() {
        assert!(cost(b"\0asm\x01\0\0\0\x0a\x7f").is_err());
        assert!(cost(b"no module").is_err());
    }
}
