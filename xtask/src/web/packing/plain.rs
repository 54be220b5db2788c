//! Local variables numbered by use, no hints of alignment, no notes of the compiler.

use anyhow::Result;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::convert::Infallible;
use wasm_encoder::reencode::{Error, Reencode, utils};
use wasm_encoder::{CodeSection, Function, Instruction, MemArg, Module};
use wasmparser::{CustomSectionReader, FunctionBody, Operator, Parser, Payload, ValType};

/// The same module with one way to say each of these.
pub(super) fn plain(module: &[u8]) -> Result<Vec<u8>> {
    let mut plain = Plain::default();
    let mut types = Vec::new();
    for payload in Parser::new(0).parse_all(module) {
        match payload? {
            Payload::TypeSection(section) => {
                for kind in section.into_iter_err_on_gc_types() {
                    types.push(kind?.params().len() as u32);
                }
            }
            Payload::FunctionSection(section) => {
                for kind in section {
                    plain.parameters.push(types[kind? as usize]);
                }
            }
            _ => {}
        }
    }
    plain.parameters.reverse();
    super::rewrite(module, &mut plain)
}

#[derive(Default)]
struct Plain {
    /// How many parameters the functions have that are still to come, the next one last.
    parameters: Vec<u32>,
    /// The new numbers of the locals of the function at hand.
    numbers: BTreeMap<u32, u32>,
}

impl Plain {
    /// Numbers the locals behind the parameters, those of a type together and the one that is used most first; returns
    /// their types.
    fn number(&mut self, body: &FunctionBody<'_>) -> Result<Vec<ValType>, Error<Infallible>> {
        let parameters = self.parameters.pop().unwrap_or_default();
        let mut types = Vec::new();
        for group in body.get_locals_reader()? {
            let (count, kind) = group?;
            types.extend((0..count).map(|_| kind));
        }
        let mut locals: Vec<(u32, usize)> = Vec::new();
        for operator in body.get_operators_reader()? {
            let Some(local) = local(&operator?).filter(|local| *local >= parameters) else {
                continue;
            };
            match locals.iter_mut().find(|(known, _)| *known == local) {
                Some((_, uses)) => *uses += 1,
                None => locals.push((local, 1)),
            }
        }
        let kind = |local: u32| types[(local - parameters) as usize];
        // Of locals used equally often the one that comes first: the sort is stable.
        locals.sort_by_key(|(local, uses)| (rank(kind(*local)), Reverse(*uses)));
        self.numbers = (parameters..)
            .zip(&locals)
            .map(|(number, (local, _))| (*local, number))
            .collect();
        Ok(locals.iter().map(|(local, _)| kind(*local)).collect())
    }

    fn numbered(&self, local: u32) -> u32 {
        self.numbers.get(&local).copied().unwrap_or(local)
    }
}

impl Reencode for Plain {
    type Error = Infallible;

    fn parse_function_body(
        &mut self,
        code: &mut CodeSection,
        body: FunctionBody<'_>,
    ) -> Result<(), Error<Infallible>> {
        let mut locals = Vec::new();
        for kind in self.number(&body)? {
            locals.push(self.val_type(kind)?);
        }
        let mut function = Function::new_with_locals_types(locals);
        let mut operators = body.get_operators_reader()?;
        while !operators.eof() {
            function.instruction(&self.parse_instruction(&mut operators)?);
        }
        code.function(&function);
        Ok(())
    }

    fn instruction<'a>(
        &mut self,
        operator: Operator<'a>,
    ) -> Result<Instruction<'a>, Error<Infallible>> {
        Ok(match operator {
            Operator::LocalGet { local_index } => Instruction::LocalGet(self.numbered(local_index)),
            Operator::LocalSet { local_index } => Instruction::LocalSet(self.numbered(local_index)),
            Operator::LocalTee { local_index } => Instruction::LocalTee(self.numbered(local_index)),
            other => utils::instruction(self, other)?,
        })
    }

    /// What an access says of its alignment is a hint, and no machine that runs a browser heeds it.
    fn mem_arg(&mut self, access: wasmparser::MemArg) -> Result<MemArg, Error<Infallible>> {
        let access = utils::mem_arg(self, access)?;
        Ok(MemArg { align: 0, ..access })
    }

    /// The features that the compiler was allowed to use are a note for linkers.
    fn parse_custom_section(
        &mut self,
        module: &mut Module,
        section: CustomSectionReader<'_>,
    ) -> Result<(), Error<Infallible>> {
        match section.name() {
            "target_features" => Ok(()),
            _ => utils::parse_custom_section(self, module, section),
        }
    }
}

pub(super) fn local(operator: &Operator<'_>) -> Option<u32> {
    match operator {
        Operator::LocalGet { local_index }
        | Operator::LocalSet { local_index }
        | Operator::LocalTee { local_index } => Some(*local_index),
        _ => None,
    }
}

fn rank(kind: ValType) -> u8 {
    match kind {
        ValType::I32 => 0,
        ValType::I64 => 1,
        ValType::F32 => 2,
        ValType::F64 => 3,
        ValType::V128 => 4,
        ValType::Ref(_) => 5,
    }
}
