//! Functions that nothing can call are left out.
//!
//! wasm-bindgen has each binding describe itself when it binds the module, and leaves what only those descriptions name
//! behind: dozens of callbacks of js-sys in the table of functions. A call through the table says which type it wants and
//! fails for any other, so what is in the table but has no type that is called so is out of reach.

use super::Functions;
use anyhow::{Result, bail};
use std::collections::BTreeSet;
use wasmparser::{BinaryReader, ExternalKind, FunctionBody, Operator, Parser, Payload};

/// The same module with the functions that can be called from outside, and what they call.
pub(super) fn sweep(module: &[u8]) -> Result<Vec<u8>> {
    let functions = Functions::of(module)?;
    let reached = Reach::of(module, &functions)?.reached;
    let (mut kept, mut places) = (Vec::new(), Vec::new());
    for number in 0..functions.bodies.len() {
        let stays = reached.contains(&((functions.imported + number) as u32));
        places.push(stays.then_some(kept.len()));
        kept.extend(stays.then_some(number));
    }
    functions.placed(module, kept, places)
}

/// What can be called.
#[derive(Default)]
struct Reach {
    /// Types that are called through the table.
    types: BTreeSet<u32>,
    reached: BTreeSet<u32>,
    /// Reached, but not looked into yet.
    ahead: Vec<u32>,
}

impl Reach {
    fn of(module: &[u8], functions: &Functions<'_>) -> Result<Self> {
        let mut reach = Self::default();
        for payload in Parser::new(0).parse_all(module) {
            match payload? {
                Payload::ExportSection(section) => {
                    for export in section {
                        let export = export?;
                        match export.kind {
                            ExternalKind::Func => reach.add(export.index),
                            ExternalKind::Table if export.index == 0 => {
                                bail!("the table of functions is exported")
                            }
                            _ => {}
                        }
                    }
                }
                Payload::StartSection { func, .. } => reach.add(func),
                _ => {}
            }
        }
        loop {
            while let Some(function) = reach.ahead.pop() {
                reach.look_into(functions, function)?;
            }
            for &(_, function) in &functions.table {
                let own = functions.own(function);
                if own.is_none_or(|own| reach.types.contains(&functions.types[own])) {
                    reach.add(function);
                }
            }
            if reach.ahead.is_empty() {
                return Ok(reach);
            }
        }
    }

    fn add(&mut self, function: u32) {
        if self.reached.insert(function) {
            self.ahead.push(function);
        }
    }

    fn look_into(&mut self, functions: &Functions<'_>, function: u32) -> Result<()> {
        let Some(own) = functions.own(function) else {
            return Ok(());
        };
        let body = FunctionBody::new(BinaryReader::new(functions.bodies[own], 0));
        for operator in body.get_operators_reader()? {
            match operator? {
                Operator::Call { function_index }
                | Operator::ReturnCall { function_index }
                | Operator::RefFunc { function_index } => self.add(function_index),
                Operator::CallIndirect { type_index, .. }
                | Operator::ReturnCallIndirect { type_index, .. } => {
                    self.types.insert(type_index);
                }
                _ => {}
            }
        }
        Ok(())
    }
}
