use std::collections::BTreeMap;

use proptest::prelude::*;
use wasm_encoder::{
    CodeSection, ConstExpr, ElementSection, Elements, EntityType, ExportKind, ExportSection, FunctionSection,
    GlobalSection, GlobalType, HeapType, ImportSection, InstructionSink, RefType, StartSection, TableSection,
    TableType, TypeSection, ValType,
};
use wasmparser::{ElementItems, ExternalKind, Operator, Parser, Payload, TypeRef, Validator};

use super::{Module, in_order_of_likeness, order};

/// Functions of the test's module. Each contains its place, calls its neighbours and refers to one; every third also takes a number.
const FUNCTIONS: u32 = 12;
const IMPORTED: u32 = 2;

/// A module with whatever else refers to functions: exports, the start, elements of both forms, a global and `ref.func`.
fn module() -> Vec<u8> {
    let reference = ValType::Ref(RefType::FUNCREF);
    let mut types = TypeSection::new();
    types.ty().function([], []);
    types.ty().function([ValType::I32], []);
    let mut imports = ImportSection::new();
    imports.import("host", "one", EntityType::Function(0)).import("host", "two", EntityType::Function(1));
    let (mut functions, mut code) = (FunctionSection::new(), CodeSection::new());
    for place in 0..FUNCTIONS {
        functions.function(kind(place));
        let mut body = wasm_encoder::Function::new([(place % 2, ValType::I32)]);
        let mut sink = body.instructions();
        sink.i32_const(i32::try_from(place).unwrap()).drop();
        sink.ref_func(IMPORTED + (place + 5) % FUNCTIONS).drop();
        call(&mut sink, (place + 1) % FUNCTIONS);
        sink.i32_const(1).call(1).call(0).end();
        code.function(&body);
    }
    let table = TableType { element_type: RefType::FUNCREF, minimum: 8, maximum: None, table64: false, shared: false };
    let mut tables = TableSection::new();
    tables.table(table);
    let mut globals = GlobalSection::new();
    globals
        .global(GlobalType { val_type: reference, mutable: false, shared: false }, &ConstExpr::ref_func(IMPORTED + 3));
    let mut exports = ExportSection::new();
    for place in 0..FUNCTIONS {
        exports.export(&format!("f{place}"), ExportKind::Func, IMPORTED + place);
    }
    exports.export("imported", ExportKind::Func, 0).export("table", ExportKind::Table, 0);
    let mut elements = ElementSection::new();
    elements.active(None, &ConstExpr::i32_const(0), Elements::Functions(vec![IMPORTED + 7, 0, IMPORTED + 4].into()));
    let expressions = [ConstExpr::ref_func(IMPORTED + 9), ConstExpr::ref_null(HeapType::FUNC)];
    elements.active(
        None,
        &ConstExpr::i32_const(4),
        Elements::Expressions(RefType::FUNCREF, expressions.as_slice().into()),
    );
    let all: Vec<u32> = (0..FUNCTIONS).map(|place| IMPORTED + place).collect();
    elements.declared(Elements::Functions(all.into()));
    let mut module = wasm_encoder::Module::new();
    module.section(&types).section(&imports).section(&functions).section(&tables).section(&globals).section(&exports);
    module.section(&StartSection { function_index: IMPORTED + 2 }).section(&elements).section(&code);
    module.finish()
}

/// The type of a function of the module.
fn kind(place: u32) -> u32 {
    u32::from(place.is_multiple_of(3))
}

fn call(sink: &mut InstructionSink<'_>, place: u32) {
    if kind(place) == 1 {
        sink.i32_const(0);
    }
    sink.call(IMPORTED + place);
}

/// All that refers to functions, which are called by what they contain. Functions of the same content are the same.
fn meaning(bytes: &[u8]) -> BTreeMap<String, Vec<String>> {
    Validator::new().validate_all(bytes).unwrap();
    let (mut types, mut names, mut references) =
        (Vec::new(), vec!["host one".to_owned(), "host two".to_owned()], Vec::new());
    let mut refer = |from: String, to: u32| references.push((from, to));
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.unwrap() {
            Payload::ImportSection(imports) => {
                assert!(imports.into_imports().all(|import| matches!(import.unwrap().ty, TypeRef::Func(_))));
            }
            Payload::FunctionSection(functions) => types.extend(functions.into_iter().map(Result::unwrap)),
            Payload::GlobalSection(globals) => {
                for global in globals {
                    refer_all("global", global.unwrap().init_expr.get_operators_reader(), &mut refer);
                }
            }
            Payload::ExportSection(exports) => {
                for export in exports.into_iter().map(Result::unwrap).filter(|export| export.kind == ExternalKind::Func)
                {
                    refer(format!("export {}", export.name), export.index);
                }
            }
            Payload::StartSection { func, .. } => refer("start".to_owned(), func),
            Payload::ElementSection(elements) => {
                for (segment, element) in elements.into_iter().enumerate() {
                    let from = format!("segment {segment}");
                    match element.unwrap().items {
                        ElementItems::Functions(items) => {
                            items.into_iter().for_each(|to| refer(from.clone(), to.unwrap()));
                        }
                        ElementItems::Expressions(_, items) => {
                            items
                                .into_iter()
                                .for_each(|item| refer_all(&from, item.unwrap().get_operators_reader(), &mut refer));
                        }
                    }
                }
            }
            Payload::CodeSectionEntry(body) => {
                let locals: u32 = body.get_locals_reader().unwrap().into_iter().map(|local| local.unwrap().0).sum();
                let mut operators = body.get_operators_reader().unwrap();
                let Operator::I32Const { value } = operators.read().unwrap() else { panic!("no place") };
                let name = format!("{value} of type {} with {locals}", types[names.len() - 2]);
                refer_all(&name, operators, &mut refer);
                names.push(name);
            }
            _ => {}
        }
    }
    let mut meaning: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (from, to) in references {
        meaning.entry(from).or_default().push(names[to as usize].clone());
    }
    meaning
}

fn refer_all(from: &str, operators: wasmparser::OperatorsReader<'_>, refer: &mut impl FnMut(String, u32)) {
    for operator in operators {
        match operator.unwrap() {
            Operator::Call { function_index } | Operator::RefFunc { function_index } => {
                refer(from.to_owned(), function_index);
            }
            _ => {}
        }
    }
}

proptest! {
    #[test]
    fn in_any_order_a_module_means_the_same(order in Just((0..FUNCTIONS as usize).collect::<Vec<_>>()).prop_shuffle()) {
        let before = module();
        let after = Module::read(&before).unwrap().written(&order).unwrap();
        prop_assert_eq!(meaning(&after), meaning(&before));
        let mut inverse = vec![0; order.len()];
        order.iter().enumerate().for_each(|(new, &old)| inverse[old] = new);
        prop_assert_eq!(Module::read(&after).unwrap().written(&inverse).unwrap(), before);
    }

    #[test]
    fn an_order_has_each_function_once(bodies in prop::collection::vec(prop::collection::vec(0_u8..3, 0..40), 0..30)) {
        let bodies: Vec<&[u8]> = bodies.iter().map(Vec::as_slice).collect();
        let mut places = order(&bodies);
        prop_assert_eq!(&places, &order(&bodies));
        places.sort_unstable();
        prop_assert_eq!(places, (0..bodies.len()).collect::<Vec<_>>());
    }
}

#[test]
fn the_same_module_gives_the_same_bytes() {
    let once = in_order_of_likeness(&module()).unwrap();
    assert_eq!(in_order_of_likeness(&module()).unwrap(), once);
    assert_eq!(meaning(&once), meaning(&module()));
}

#[test]
fn like_functions_come_together() {
    let bodies: Vec<Vec<u8>> =
        [1, 2, 1, 2, 1, 2].iter().map(|kind| (0..200_u8).map(|at| at.wrapping_mul(*kind)).collect()).collect();
    let bodies: Vec<&[u8]> = bodies.iter().map(Vec::as_slice).collect();
    assert_eq!(order(&bodies), [0, 2, 4, 1, 3, 5]);
}

#[test]
fn custom_sections_are_left_out() {
    let mut module = wasm_encoder::Module::new();
    module.section(&wasm_encoder::CustomSection { name: "name".into(), data: [0, 1, 2].as_slice().into() });
    assert_eq!(in_order_of_likeness(&module.finish()).unwrap(), b"\0asm\x01\0\0\0");
}

#[test]
fn what_is_no_module_is_an_error() {
    assert!(in_order_of_likeness(b"#!/bin/sh").is_err());
    // A component.
    assert!(in_order_of_likeness(b"\0asm\x0d\0\x01\0").is_err());
}
