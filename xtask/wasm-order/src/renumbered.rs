//! A module, and how it is written with its functions in another order.

use std::convert::Infallible;

use wasm_encoder::reencode::{self, Reencode};
use wasm_encoder::{CodeSection, FunctionSection};
use wasmparser::{CodeSectionReader, CustomSectionReader, FunctionSectionReader, Parser, Payload, TypeRef};

type Error = reencode::Error<Infallible>;

/// A module whose functions are known.
pub struct Module<'m> {
    bytes: &'m [u8],
    /// How many functions it imports: their numbers come first, and stay.
    imported: u32,
    bodies: Vec<&'m [u8]>,
}

impl<'m> Module<'m> {
    /// Reads which functions the module has.
    ///
    /// # Errors
    ///
    /// What is not a module of WebAssembly.
    pub fn read(bytes: &'m [u8]) -> Result<Self, Error> {
        let mut module = Self { bytes, imported: 0, bodies: Vec::new() };
        for payload in Parser::new(0).parse_all(bytes) {
            match payload? {
                Payload::ImportSection(imports) => {
                    for import in imports.into_imports() {
                        module.imported += u32::from(matches!(import?.ty, TypeRef::Func(_) | TypeRef::FuncExact(_)));
                    }
                }
                Payload::CodeSectionEntry(body) => module.bodies.push(body.as_bytes()),
                _ => {}
            }
        }
        Ok(module)
    }

    /// The code of each function that is not imported.
    #[must_use]
    pub fn bodies(&self) -> &[&'m [u8]] {
        &self.bodies
    }

    /// The module with its functions in this order, which names each place of [`Module::bodies`] once.
    ///
    /// # Errors
    ///
    /// A module that uses what the encoder does not know.
    pub fn written(&self, order: &[usize]) -> Result<Vec<u8>, Error> {
        let mut numbers = vec![0; order.len()];
        for (number, &place) in (self.imported..).zip(order) {
            if let Some(of_place) = numbers.get_mut(place) {
                *of_place = number;
            }
        }
        let mut written = wasm_encoder::Module::new();
        let mut renumbered = Renumbered { imported: self.imported, numbers, order };
        renumbered.parse_core_module(&mut written, Parser::new(0), self.bytes)?;
        Ok(written.finish())
    }
}

/// Gives functions their new numbers.
struct Renumbered<'o> {
    imported: u32,
    /// The new number of each function that is not imported.
    numbers: Vec<u32>,
    order: &'o [usize],
}

impl Renumbered<'_> {
    /// The items of a section with one for each function, in the new order.
    fn sorted<T: Clone>(&self, section: impl IntoIterator<Item = wasmparser::Result<T>>) -> Result<Vec<T>, Error> {
        let items = section.into_iter().collect::<wasmparser::Result<Vec<T>>>()?;
        Ok(self.order.iter().filter_map(|&place| items.get(place).cloned()).collect())
    }
}

impl Reencode for Renumbered<'_> {
    type Error = Infallible;

    fn function_index(&mut self, number: u32) -> Result<u32, Error> {
        let place = number.checked_sub(self.imported).map(|place| place as usize);
        Ok(place.and_then(|place| self.numbers.get(place).copied()).unwrap_or(number))
    }

    fn parse_function_section(
        &mut self,
        types: &mut FunctionSection,
        section: FunctionSectionReader<'_>,
    ) -> Result<(), Error> {
        for number in self.sorted(section)? {
            types.function(self.type_index(number)?);
        }
        Ok(())
    }

    fn parse_code_section(&mut self, code: &mut CodeSection, section: CodeSectionReader<'_>) -> Result<(), Error> {
        for body in self.sorted(section)? {
            self.parse_function_body(code, body)?;
        }
        Ok(())
    }

    fn parse_custom_section(&mut self, _: &mut wasm_encoder::Module, _: CustomSectionReader<'_>) -> Result<(), Error> {
        Ok(())
    }
}
