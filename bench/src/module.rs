//! A wasm module as it was built: its functions with their names and calls, and the size of its parts.

use std::collections::BTreeMap;

use rustc_demangle::demangle;
use wasmparser::{
    BinaryReaderError, ElementItems, Encoding, ExternalKind, FunctionBody, KnownCustom, Name, Operator, Parser,
    Payload, TypeRef,
};

use crate::families::{Function, Graph};

/// The parts of a module.
#[derive(Debug, Default)]
pub(crate) struct Module {
    pub(crate) graph: Graph,
    /// Bytes of its data.
    pub(crate) data: u64,
    /// Bytes without custom sections, which are not deployed.
    pub(crate) whole: u64,
    custom: u64,
}

impl Module {
    /// Reads a file: a module, or a component, of which this is the largest module.
    pub(crate) fn read(file: &[u8]) -> Result<Self, BinaryReaderError> {
        let (mut modules, mut names) = (Vec::new(), BTreeMap::new());
        let mut current = Self::default();
        for payload in Parser::new(0).parse_all(file) {
            match payload? {
                Payload::Version { encoding: Encoding::Module, range, .. } => {
                    current = Self::default();
                    names.clear();
                    // Its sections follow up to its end.
                    current.whole = range.start as u64;
                }
                Payload::End(at) => {
                    current.whole = (at as u64).saturating_sub(current.whole);
                    let mut ended = std::mem::take(&mut current);
                    ended.name(&std::mem::take(&mut names));
                    modules.push(ended);
                }
                payload => current.add(payload, &mut names)?,
            }
        }
        Ok(modules.into_iter().max_by_key(|module| module.graph.functions.len()).unwrap_or_default())
    }

    fn add<'f>(&mut self, payload: Payload<'f>, names: &mut BTreeMap<u32, &'f str>) -> Result<(), BinaryReaderError> {
        match payload {
            Payload::ImportSection(imports) => {
                for import in imports.into_imports() {
                    if matches!(import?.ty, TypeRef::Func(_)) {
                        self.graph.functions.push(Function::default());
                    }
                }
            }
            Payload::ExportSection(exports) => {
                for export in exports {
                    let export = export?;
                    if export.kind == ExternalKind::Func {
                        self.graph.roots.insert(export.index);
                    }
                }
            }
            Payload::StartSection { func, .. } => drop(self.graph.roots.insert(func)),
            Payload::ElementSection(elements) => {
                for element in elements {
                    if let ElementItems::Functions(functions) = element?.items {
                        for function in functions {
                            self.graph.roots.insert(function?);
                        }
                    }
                }
            }
            Payload::CodeSectionEntry(body) => self.graph.functions.push(function(&body)?),
            Payload::DataSection(data) => {
                for segment in data {
                    self.data += segment?.data.len() as u64;
                }
            }
            Payload::CustomSection(section) => {
                self.custom += section.range().len() as u64;
                let KnownCustom::Name(all) = section.as_known() else { return Ok(()) };
                for name in all {
                    let Name::Function(functions) = name? else { continue };
                    for function in functions {
                        let function = function?;
                        names.insert(function.index, function.name);
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn name(&mut self, names: &BTreeMap<u32, &str>) {
        self.whole = self.whole.saturating_sub(self.custom);
        for (index, function) in (0..).zip(&mut self.graph.functions) {
            let name = names.get(&index).map_or_else(String::new, |name| format!("{:#}", demangle(name)));
            function.path = owner(&name).to_owned();
        }
    }
}

fn function(body: &FunctionBody<'_>) -> Result<Function, BinaryReaderError> {
    let mut function = Function { bytes: body.range().len() as u64, ..Function::default() };
    for operator in body.get_operators_reader()? {
        match operator? {
            Operator::Call { function_index }
            | Operator::ReturnCall { function_index }
            | Operator::RefFunc { function_index } => drop(function.calls.insert(function_index)),
            _ => {}
        }
    }
    Ok(function)
}

/// The path that a function belongs to. Code of a library that was compiled for a type of Tollgate's belongs to that type.
fn owner(name: &str) -> &str {
    let is_path_character = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let mut paths = name.split(|c| !is_path_character(c)).filter(|path| path.contains("::") && !path.starts_with(':'));
    let first = paths.clone().next().unwrap_or_default();
    paths.find(|path| path.starts_with("tollgate_")).unwrap_or(first).trim_end_matches(':')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_belongs_to_the_path_that_needs_it() {
        for (name, path) in [
            ("tollgate_edge::pipeline::limit::charge", "tollgate_edge::pipeline::limit::charge"),
            ("<tollgate_core::cell::Charge as core::fmt::Debug>::fmt", "tollgate_core::cell::Charge"),
            ("core::ptr::drop_in_place::<tollgate_core::Problem>", "tollgate_core::Problem"),
            ("tollgate_edge::serve::<tollgate_cloudflare::Host>::{closure#0}", "tollgate_edge::serve"),
            ("alloc::vec::Vec<u8>::push", "alloc::vec::Vec"),
            ("memcpy", ""),
            ("", ""),
        ] {
            assert_eq!(owner(name), path, "{name}");
        }
    }

    /// `(module (import "a" "b" (func)) (func (export "f") (call 2)) (func (call 0)) (func))`
    const MODULE: &[u8] =
        b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x02\x07\x01\x01a\x01b\0\0\x03\x04\x03\0\0\0\x07\x05\x01\x01f\0\x01\
        \x0a\x0e\x03\x04\0\x10\x02\x0b\x04\0\x10\0\x0b\x02\0\x0b";

    #[test]
    fn functions_are_read_with_their_calls() {
        let read = Module::read(MODULE).unwrap();
        let calls: Vec<Vec<u32>> = read.graph.functions.iter().map(|one| one.calls.iter().copied().collect()).collect();
        assert_eq!(calls, [vec![], vec![2], vec![0], vec![]]);
        assert_eq!((read.graph.roots.into_iter().collect::<Vec<_>>(), read.whole), (vec![1], MODULE.len() as u64));
        assert!(Module::read(b"not a module").is_err());
    }

    #[test]
    fn of_a_component_the_largest_module_is_read() {
        let empty = b"\0asm\x01\0\0\0";
        let section = |module: &[u8]| [&[1, module.len() as u8], module].concat();
        let component = [b"\0asm\x0d\0\x01\0", &section(empty)[..], &section(MODULE), &section(empty)].concat();
        let read = Module::read(&component).unwrap();
        assert_eq!((read.graph.functions.len(), read.whole), (4, MODULE.len() as u64));
    }
}
