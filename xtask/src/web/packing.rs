//! Makes a module pack better that means the same, after wasm-bindgen.
//!
//! wasm-bindgen leaves behind what it alone needed, and a compiler leaves choices to chance that a packer pays for: the
//! numbers of locals, hints of alignment, the order of functions. Without the one and with the other made alike
//! everywhere, a browser downloads a twentieth less.

mod merge;
mod names;
mod order;
mod plain;
mod sweep;
#[cfg(test)]
mod tests;

use anyhow::{Context, Result, bail};
use std::convert::Infallible;
use wasm_encoder::reencode::{Error, Reencode};
use wasm_encoder::{CodeSection, ConstExpr, ElementSection, Elements, FunctionSection, Module};
use wasmparser::{
    CodeSectionReader, ElementItems, ElementKind, ElementSectionReader, FunctionSectionReader,
    Operator, Parser, Payload, TypeRef,
};

/// The module and its glue, smaller once packed.
pub(super) fn pack(module: &[u8], glue: &str) -> Result<(Vec<u8>, String)> {
    let module = sweep::sweep(module)?;
    let module = plain::plain(&module)?;
    let module = merge::merge(module)?;
    let module = order::by_likeness(&module)?;
    names::shorten(&module, glue)
}

/// What the steps ask of a module's functions.
struct Functions<'a> {
    /// How many are imported; the numbers of the others follow.
    imported: usize,
    /// The types of the others.
    types: Vec<u32>,
    bodies: Vec<&'a [u8]>,
    /// Slots of the table through which functions are called by address, and what is in them.
    table: Vec<(u32, u32)>,
}

impl<'a> Functions<'a> {
    fn of(module: &'a [u8]) -> Result<Self> {
        let mut functions = Self {
            imported: 0,
            types: Vec::new(),
            bodies: Vec::new(),
            table: Vec::new(),
        };
        for payload in Parser::new(0).parse_all(module) {
            match payload? {
                Payload::ImportSection(section) => {
                    for import in section.into_imports() {
                        functions.imported += usize::from(matches!(import?.ty, TypeRef::Func(_)));
                    }
                }
                Payload::FunctionSection(section) => {
                    functions.types = section.into_iter().collect::<Result<_, _>>()?;
                }
                Payload::ElementSection(section) => functions.table = slots(section)?,
                Payload::CodeSectionEntry(body) => functions.bodies.push(body.as_bytes()),
                _ => {}
            }
        }
        Ok(functions)
    }

    /// Which of the module's own functions this is; nothing if it is imported.
    fn own(&self, function: u32) -> Option<usize> {
        (function as usize).checked_sub(self.imported)
    }

    /// The module with those functions, in this order; `places` says where each of the present ones, or the one that
    /// does for it, comes.
    fn placed(
        &self,
        module: &[u8],
        kept: Vec<usize>,
        places: Vec<Option<usize>>,
    ) -> Result<Vec<u8>> {
        let (imported, table) = (self.imported, self.table.clone());
        let mut placing = Placing {
            imported,
            table,
            kept,
            places,
        };
        rewrite(module, &mut placing)
    }
}

/// Reads a table that holds functions from the start, which is the only kind that comes out of Rust.
fn slots(section: ElementSectionReader<'_>) -> Result<Vec<(u32, u32)>> {
    let mut slots = Vec::new();
    for segment in section {
        let segment = segment?;
        let ElementKind::Active {
            table_index: None | Some(0),
            offset_expr,
        } = segment.kind
        else {
            bail!("a table that is filled later");
        };
        let ElementItems::Functions(functions) = segment.items else {
            bail!("a table of something else than functions");
        };
        let first = offset_expr.get_operators_reader().into_iter().next();
        let Some(Operator::I32Const { value: first }) = first.transpose()? else {
            bail!("a table that lies nobody knows where");
        };
        for (slot, function) in (first as u32..).zip(functions) {
            slots.push((slot, function?));
        }
    }
    Ok(slots)
}

/// Writes a module's functions where they shall be.
struct Placing {
    imported: usize,
    table: Vec<(u32, u32)>,
    kept: Vec<usize>,
    places: Vec<Option<usize>>,
}

impl Placing {
    fn place(&self, function: u32) -> Option<u32> {
        match (function as usize).checked_sub(self.imported) {
            Some(own) => self.places[own].map(|place| (self.imported + place) as u32),
            None => Some(function),
        }
    }
}

impl Reencode for Placing {
    type Error = Infallible;

    fn function_index(&mut self, function: u32) -> Result<u32, Error<Infallible>> {
        Ok(self
            .place(function)
            .expect("what is left out is named by nothing that stays"))
    }

    fn parse_function_section(
        &mut self,
        functions: &mut FunctionSection,
        section: FunctionSectionReader<'_>,
    ) -> Result<(), Error<Infallible>> {
        let types = section.into_iter().collect::<Result<Vec<_>, _>>()?;
        for number in &self.kept {
            functions.function(types[*number]);
        }
        Ok(())
    }

    /// A slot whose function is left out stays empty.
    fn parse_element_section(
        &mut self,
        elements: &mut ElementSection,
        _: ElementSectionReader<'_>,
    ) -> Result<(), Error<Infallible>> {
        let stays = |(slot, function): &(u32, u32)| Some((*slot, self.place(*function)?));
        let table: Vec<_> = self.table.iter().filter_map(stays).collect();
        for run in table.chunk_by(|one, next| one.0 + 1 == next.0) {
            let functions: Vec<u32> = run.iter().map(|(_, function)| *function).collect();
            let offset = ConstExpr::i32_const(run[0].0 as i32);
            elements.active(None, &offset, Elements::Functions(functions.into()));
        }
        Ok(())
    }

    fn parse_code_section(
        &mut self,
        code: &mut CodeSection,
        section: CodeSectionReader<'_>,
    ) -> Result<(), Error<Infallible>> {
        let bodies = section.into_iter().collect::<Result<Vec<_>, _>>()?;
        for number in self.kept.clone() {
            self.parse_function_body(code, bodies[number].clone())?;
        }
        Ok(())
    }
}

fn rewrite(module: &[u8], how: &mut impl Reencode<Error = Infallible>) -> Result<Vec<u8>> {
    let mut written = Module::new();
    how.parse_core_module(&mut written, Parser::new(0), module)
        .context("the module can't be rewritten")?;
    Ok(written.finish())
}
