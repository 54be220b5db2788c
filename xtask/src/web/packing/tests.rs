use super::*;
use std::collections::BTreeMap;
use wasm_encoder::{
    EntityType, ExportKind, ExportSection, Function, ImportSection, MemArg, MemorySection,
    MemoryType, RefType, TableSection, TableType, TypeSection, ValType,
};
use wasmparser::{BinaryReader, FunctionBody, Operator};

/// A module that imports one function and exports its own by their numbers.
fn module(bodies: &[Function]) -> Vec<u8> {
    with_table(bodies, bodies.len(), &[])
}

/// The same, but exports the first ones only; the last ones are in the table from slot 1 on, each with its type.
fn with_table(bodies: &[Function], exported: usize, table: &[u32]) -> Vec<u8> {
    let (mut types, mut imports) = (TypeSection::new(), ImportSection::new());
    types.ty().function([], [ValType::I32]);
    types.ty().function([ValType::I32], [ValType::I32]);
    imports.import("./glue.js", "f_0123456789abcdef", EntityType::Function(0));
    let (mut functions, mut exports) = (FunctionSection::new(), ExportSection::new());
    let (mut memories, mut code) = (MemorySection::new(), CodeSection::new());
    memories.memory(MemoryType {
        minimum: 1,
        maximum: None,
        memory64: false,
        shared: false,
        page_size_log2: None,
    });
    let tabled = bodies.len() - table.len();
    for (number, body) in bodies.iter().enumerate() {
        functions.function(number.checked_sub(tabled).map_or(1, |slot| table[slot]));
        code.function(body);
        if number < exported {
            exports.export(&number.to_string(), ExportKind::Func, number as u32 + 1);
        }
    }
    let (mut tables, mut elements) = (TableSection::new(), ElementSection::new());
    tables.table(TableType {
        element_type: RefType::FUNCREF,
        minimum: 9,
        maximum: None,
        table64: false,
        shared: false,
    });
    let tabled: Vec<u32> = (tabled as u32 + 1..=bodies.len() as u32).collect();
    let slots = Elements::Functions(tabled.into());
    elements.active(None, &ConstExpr::i32_const(1), slots);
    let mut module = Module::new();
    module.section(&types).section(&imports).section(&functions);
    module.section(&tables).section(&memories).section(&exports);
    module.section(&elements).section(&code);
    module.finish()
}

/// A function that calls others and gives a number.
fn giving(called: &[u32], number: i32) -> Function {
    let mut body = Function::new([]);
    for called in called {
        body.instructions().call(*called).drop();
    }
    body.instructions().i32_const(number).end();
    body
}

/// What a function does; of one that it calls, what that does.
fn meaning(functions: &Functions<'_>, number: usize) -> String {
    let Some(own) = number.checked_sub(functions.imported) else {
        return format!("import {number}");
    };
    let body = FunctionBody::new(BinaryReader::new(functions.bodies[own], 0));
    let mut said = String::new();
    for operator in body.get_operators_reader().unwrap() {
        said += &match operator.unwrap() {
            Operator::Call { function_index } => {
                format!("({}) ", meaning(functions, function_index as usize))
            }
            Operator::I32Const { value } => value.to_string(),
            _ => continue,
        };
    }
    said
}

/// The meaning of each export.
fn meanings(module: &[u8]) -> BTreeMap<String, String> {
    let functions = Functions::of(module).unwrap();
    let mut exports = BTreeMap::new();
    for payload in Parser::new(0).parse_all(module) {
        if let Payload::ExportSection(section) = payload.unwrap() {
            for export in section {
                let export = export.unwrap();
                let said = meaning(&functions, export.index as usize);
                exports.insert(export.name.to_owned(), said);
            }
        }
    }
    exports
}

#[test]
fn another_order_means_the_same() {
    let plain = module(&[giving(&[0], 0), giving(&[3], 1), giving(&[], 2)]);
    let turned = order::reordered(&Functions::of(&plain).unwrap(), &plain, vec![2, 0, 1]).unwrap();
    assert_ne!(turned, plain);
    let said = meanings(&turned);
    assert_eq!(said, meanings(&plain));
    assert_eq!(said["1"], "(2) 1");
}

#[test]
fn equal_functions_become_one_and_their_callers_after_them() {
    let bodies = [
        giving(&[], 7),
        giving(&[1], 8),
        giving(&[], 7),
        giving(&[3], 8),
        giving(&[0, 4], 9),
    ];
    let plain = module(&bodies);
    let merged = merge::merge(plain.clone()).unwrap();
    assert_eq!(Functions::of(&merged).unwrap().bodies.len(), 3);
    let said = meanings(&merged);
    assert_eq!(said, meanings(&plain));
    assert_eq!(said["4"], "(import 0) ((7) 8) 9");
}

#[test]
fn the_most_used_local_of_a_type_comes_first() {
    let mut body = Function::new([(1, ValType::I64), (3, ValType::I32)]);
    let access = MemArg {
        offset: 4,
        align: 2,
        memory_index: 0,
    };
    // Local 2 is never used.
    body.instructions().local_get(0).local_set(3);
    body.instructions().i64_const(1).local_set(1);
    body.instructions()
        .local_get(4)
        .local_tee(4)
        .i32_load(access)
        .end();
    let plain = plain::plain(&module(&[body])).unwrap();
    let functions = Functions::of(&plain).unwrap();
    let body = FunctionBody::new(BinaryReader::new(functions.bodies[0], 0));
    let locals = body.get_locals_reader().unwrap().into_iter();
    let locals: Vec<_> = locals.map(Result::unwrap).collect();
    assert_eq!(
        locals,
        [(2, wasmparser::ValType::I32), (1, wasmparser::ValType::I64)]
    );
    let operators = body.get_operators_reader().unwrap().into_iter();
    let operators: Vec<_> = operators.map(Result::unwrap).collect();
    let used: Vec<u32> = operators.iter().filter_map(plain::local).collect();
    assert_eq!(used, [0, 2, 3, 1, 1]);
    let aligned = |operator: &Operator<'_>| match operator {
        Operator::I32Load { memarg } => Some((memarg.align, memarg.offset)),
        _ => None,
    };
    assert_eq!(operators.iter().find_map(aligned), Some((0, 4)));
}

#[test]
fn what_the_glue_names_is_renamed_in_both() {
    let plain = module(&[giving(&[0], 0)]);
    let glue = "export function f_0123456789abcdef(arg0) {}\nwasm.0(1);\n";
    let (renamed, short) = names::shorten(&plain, glue).unwrap();
    assert_eq!(short, "export function $0(arg0) {}\nwasm.$1(1);\n");
    assert!(renamed.len() < plain.len());
    assert_eq!(meanings(&renamed)["$1"], meanings(&plain)["0"]);

    let foreign = "export const f_0123456789abcdef = g;\n";
    let kept = names::shorten(&plain, foreign).unwrap();
    assert_eq!(kept, (plain, foreign.to_owned()));
}

#[test]
fn what_nothing_can_call_is_left_out() {
    let mut through_table = Function::new([]);
    let mut body = through_table.instructions();
    body.i32_const(0).i32_const(2).call_indirect(0, 1).end();
    let bodies = [
        giving(&[2], 1),
        through_table,
        giving(&[4], 3),
        giving(&[], 4),
        giving(&[3], 5),
        giving(&[3], 6),
        giving(&[], 7),
        giving(&[4], 8),
    ];
    // Two functions lie in the table that have the type of the call, and one that has not.
    let table = [1, 0, 1];
    let plain = with_table(&bodies, 1, &table);
    let swept = sweep::sweep(&plain).unwrap();
    let functions = Functions::of(&swept).unwrap();
    // Nothing calls the one that gives 5.
    assert_eq!(functions.types, [1; 6]);
    let slots: Vec<_> = functions.table.iter().map(|(slot, _)| *slot).collect();
    assert_eq!(slots, [1, 3]);
    let said: Vec<_> = functions
        .table
        .iter()
        .map(|(_, function)| meaning(&functions, *function as usize))
        .collect();
    assert_eq!(said, ["((4) 3) 6", "(4) 8"]);
    assert_eq!(meanings(&swept), meanings(&plain));
}
