//! Puts the functions of a module into the order that packs best.
//!
//! wasm-bindgen leaves them by size. A packer finds repetitions cheaper the closer they lie, so each function is put
//! behind the one that is most like it; that takes a fortieth off what a browser downloads.

use anyhow::{Context, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use wasm_encoder::reencode::{Error, Reencode};
use wasm_encoder::{CodeSection, FunctionSection, Module};
use wasmparser::{CodeSectionReader, FunctionSectionReader, Parser, Payload, TypeRef};

/// Bytes that make a likeness: about two instructions. Measured, as is the other limit.
const GRAM: usize = 4;
/// What this many functions have is no likeness.
const COMMON: usize = 300;

/// The same module with its functions in another order.
pub(super) fn by_likeness(module: &[u8]) -> Result<Vec<u8>> {
    let (imported, bodies) = functions(module)?;
    let order = chain(&bodies);
    reordered(module, imported, order)
}

/// How many functions are imported, and the bodies of the others.
fn functions(module: &[u8]) -> Result<(usize, Vec<&[u8]>)> {
    let (mut imported, mut bodies) = (0, Vec::new());
    for payload in Parser::new(0).parse_all(module) {
        match payload? {
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    imported += usize::from(matches!(import?.ty, TypeRef::Func(_)));
                }
            }
            Payload::CodeSectionEntry(body) => bodies.push(body.as_bytes()),
            _ => {}
        }
    }
    Ok((imported, bodies))
}

/// Numbers of bodies, each behind the one that it shares most with of those that were left.
fn chain(bodies: &[&[u8]]) -> Vec<usize> {
    let grams = |body: &&'_ [u8]| body.windows(GRAM).map(<[u8]>::to_vec).collect();
    let grams: Vec<BTreeSet<Vec<u8>>> = bodies.iter().map(grams).collect();
    let mut holders: BTreeMap<&[u8], Vec<usize>> = BTreeMap::new();
    for (number, grams) in grams.iter().enumerate() {
        for gram in grams {
            holders.entry(gram).or_default().push(number);
        }
    }
    holders.retain(|_, holders| holders.len() < COMMON);

    let mut left: BTreeSet<usize> = (0..bodies.len()).collect();
    let mut order = Vec::with_capacity(bodies.len());
    let mut next = left.pop_first();
    while let Some(last) = next {
        order.push(last);
        let mut shared = vec![0; bodies.len()];
        for holders in grams[last].iter().filter_map(|gram| holders.get(&**gram)) {
            holders.iter().for_each(|&other| shared[other] += 1);
        }
        let likeness = |&other: &usize| {
            let all = grams[last].len() + grams[other].len() - shared[other];
            shared[other] * 1_000_000 / all.max(1)
        };
        // Of several the first: what is like nothing keeps its place.
        next = left.iter().copied().rev().max_by_key(likeness);
        next.inspect(|next| _ = left.remove(next));
    }
    order
}

fn reordered(module: &[u8], imported: usize, order: Vec<usize>) -> Result<Vec<u8>> {
    let mut places = vec![0; order.len()];
    for (place, number) in order.iter().enumerate() {
        places[*number] = place;
    }
    let mut reordering = Reordering {
        imported,
        order,
        places,
    };
    let mut written = Module::new();
    reordering
        .parse_core_module(&mut written, Parser::new(0), module)
        .context("the module can't be written in another order")?;
    Ok(written.finish())
}

struct Reordering {
    imported: usize,
    /// Which body comes at a place.
    order: Vec<usize>,
    /// At which place a body comes.
    places: Vec<usize>,
}

impl Reencode for Reordering {
    type Error = Infallible;

    fn function_index(&mut self, function: u32) -> Result<u32, Error<Infallible>> {
        let own = (function as usize).checked_sub(self.imported);
        Ok(own.map_or(function, |own| (self.imported + self.places[own]) as u32))
    }

    fn parse_function_section(
        &mut self,
        functions: &mut FunctionSection,
        section: FunctionSectionReader<'_>,
    ) -> Result<(), Error<Infallible>> {
        let types = section.into_iter().collect::<Result<Vec<_>, _>>()?;
        for number in &self.order {
            functions.function(types[*number]);
        }
        Ok(())
    }

    fn parse_code_section(
        &mut self,
        code: &mut CodeSection,
        section: CodeSectionReader<'_>,
    ) -> Result<(), Error<Infallible>> {
        let bodies = section.into_iter().collect::<Result<Vec<_>, _>>()?;
        for number in self.order.clone() {
            self.parse_function_body(code, bodies[number].clone())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_encoder::{
        EntityType, ExportKind, ExportSection, Function, ImportSection, TypeSection, ValType,
    };
    use wasmparser::Operator;

    #[test]
    fn like_comes_to_like() {
        let bodies = [
            &b"one kind"[..],
            b"quite another",
            b"one kind more",
            b"quite another one",
        ];
        assert_eq!(chain(&bodies), [0, 2, 1, 3]);
        assert!(chain(&[]).is_empty());
    }

    /// Three functions that give 0, 1 and 2, the first two after a call of the imported one and of the last.
    fn module() -> Vec<u8> {
        let (mut types, mut imports) = (TypeSection::new(), ImportSection::new());
        types.ty().function([], [ValType::I32]);
        imports.import("host", "f", EntityType::Function(0));
        let (mut functions, mut exports) = (FunctionSection::new(), ExportSection::new());
        let mut code = CodeSection::new();
        for (number, called) in [Some(0), Some(3), None].into_iter().enumerate() {
            functions.function(0);
            exports.export(&number.to_string(), ExportKind::Func, number as u32 + 1);
            let mut body = Function::new([]);
            let mut body_of = body.instructions();
            if let Some(called) = called {
                body_of.call(called).drop();
            }
            body_of.i32_const(number as i32).end();
            code.function(&body);
        }
        let mut module = Module::new();
        module.section(&types).section(&imports).section(&functions);
        module.section(&exports).section(&code);
        module.finish()
    }

    /// Of each export, what it calls and what it gives.
    fn meaning(module: &[u8]) -> Vec<(String, Vec<u32>, i32)> {
        let (mut exports, mut bodies) = (Vec::new(), Vec::new());
        for payload in Parser::new(0).parse_all(module) {
            match payload.unwrap() {
                Payload::ExportSection(section) => {
                    exports = section.into_iter().map(Result::unwrap).collect();
                }
                Payload::CodeSectionEntry(body) => bodies.push(body),
                _ => {}
            }
        }
        let read = |export: &wasmparser::Export<'_>| {
            let (mut calls, mut given) = (Vec::new(), 0);
            for operator in bodies[export.index as usize - 1]
                .get_operators_reader()
                .unwrap()
            {
                match operator.unwrap() {
                    Operator::Call { function_index } => calls.push(function_index),
                    Operator::I32Const { value } => given = value,
                    _ => {}
                }
            }
            (export.name.to_owned(), calls, given)
        };
        exports.iter().map(read).collect()
    }

    #[test]
    fn another_order_means_the_same() {
        let expected = |last| {
            let export = |name: &str, calls, given| (name.to_owned(), calls, given);
            [
                export("0", vec![0], 0),
                export("1", vec![last], 1),
                export("2", vec![], 2),
            ]
        };
        let module = module();
        assert_eq!(meaning(&module), expected(3));
        let (imported, bodies) = functions(&module).unwrap();
        assert_eq!((imported, bodies.len()), (1, 3));
        let turned = reordered(&module, imported, vec![2, 0, 1]).unwrap();
        assert_eq!(meaning(&turned), expected(1));
        assert_ne!(turned, module);
    }
}
