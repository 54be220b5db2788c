//! Short names for what the module and its glue have of each other.
//!
//! wasm-bindgen's hold a hash or are said twice, which doesn't pack.

use anyhow::Result;
use std::cmp::Reverse;
use std::convert::Infallible;
use wasm_encoder::reencode::{Error, Reencode, utils};
use wasm_encoder::{ExportSection, ImportSection};
use wasmparser::{Export, ExternalKind, ImportSectionReader, Parser, Payload};

/// Renames the functions that `glue` declares, and what it takes out of `wasm`, in both.
pub(super) fn shorten(module: &[u8], glue: &str) -> Result<(Vec<u8>, String)> {
    let mut names = Names(Vec::new());
    let (mut imports, mut exports) = (Vec::new(), Vec::new());
    for payload in Parser::new(0).parse_all(module) {
        match payload? {
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    imports.push(import?.name.to_owned());
                }
            }
            Payload::ExportSection(section) => {
                for export in section {
                    exports.push(export?.name.to_owned());
                }
            }
            _ => {}
        }
    }
    // One may begin with another.
    exports.sort_by_key(|name| Reverse(name.len()));
    let mut glue = glue.to_owned();
    let mut replace = |before: &str, name: String, after: &str| {
        let long = format!("{before}{name}{after}");
        let short = format!("${}", names.0.len());
        if glue.contains(&long) {
            glue = glue.replace(&long, &format!("{before}{short}{after}"));
            names.0.push((name, short));
        }
    };
    imports
        .into_iter()
        .for_each(|name| replace("function ", name, "("));
    exports
        .into_iter()
        .for_each(|name| replace("wasm.", name, ""));
    Ok((super::rewrite(module, &mut names)?, glue))
}

/// Long names and short ones.
struct Names(Vec<(String, String)>);

impl Names {
    fn short<'a>(&'a self, name: &'a str) -> &'a str {
        let known = self.0.iter().find(|(long, _)| long == name);
        known.map_or(name, |(_, short)| short)
    }
}

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
            imports.import(import.module, self.short(import.name), kind);
        }
        Ok(())
    }

    /// Addresses that nobody asks for are left out.
    fn parse_export(
        &mut self,
        exports: &mut ExportSection,
        export: Export<'_>,
    ) -> Result<(), Error<Infallible>> {
        let name = self.short(export.name).to_owned();
        if export.kind == ExternalKind::Global && name == export.name {
            return Ok(());
        }
        let name = &name;
        utils::parse_export(self, exports, Export { name, ..export })
    }
}
