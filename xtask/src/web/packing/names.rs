//! Short names for what the module imports from its glue.
//!
//! wasm-bindgen's hold a hash each, which doesn't pack.

use anyhow::Result;
use std::convert::Infallible;
use wasm_encoder::ImportSection;
use wasm_encoder::reencode::{Error, Reencode};
use wasmparser::{ImportSectionReader, Parser, Payload};

/// Renames the functions that `glue` declares, in both.
pub(super) fn shorten(module: &[u8], glue: &str) -> Result<(Vec<u8>, String)> {
    let mut names = Names(Vec::new());
    let mut glue = glue.to_owned();
    for payload in Parser::new(0).parse_all(module) {
        let Payload::ImportSection(section) = payload? else {
            continue;
        };
        for import in section.into_imports() {
            let name = import?.name;
            let declared = format!("function {name}(");
            if glue.contains(&declared) {
                let short = format!("${}", names.0.len());
                glue = glue.replace(&declared, &format!("function {short}("));
                names.0.push((name.to_owned(), short));
            }
        }
    }
    Ok((super::rewrite(module, &mut names)?, glue))
}

/// Long names and short ones.
struct Names(Vec<(String, String)>);

impl Reencode for Names {
    type Error = Infallible;

    fn parse_import_section(
        &mut self,
        imports: &mut ImportSection,
        section: ImportSectionReader<'_>,
    ) -> Result<(), Error<Infallible>> {
        for import in section.into_imports() {
            let import = import?;
            let kind = self.entity_type(import.ty)?;
            let known = self.0.iter().find(|(long, _)| long == import.name);
            let name = known.map_or(import.name, |(_, short)| short);
            imports.import(import.module, name, kind);
        }
        Ok(())
    }
}
