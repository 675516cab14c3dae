//! The parser: the algorithms of RFC 9651, section 4.2.

use base64ct::{Base64, Encoding};
use thiserror::Error;

use super::{Bare, InnerList, Item, Member, Members, Parameters};
use crate::hex;

/// The text is no structured field of this type, or has more than 256 members, items or parameters in one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("it is not a structured field")]
pub struct StructureError;

type Parsed<T> = Result<T, StructureError>;

impl Members {
    /// Parses a dictionary; several lines of a field are joined with a comma.
    ///
    /// # Errors
    /// If it is none.
    pub fn dictionary(text: &str) -> Parsed<Self> {
        let mut parser = Parser::new(text);
        let parsed = parser.members(true)?;
        parser.end().map(|()| parsed)
    }

    /// Parses a list.
    ///
    /// # Errors
    /// If it is none.
    pub fn list(text: &str) -> Parsed<Self> {
        let mut parser = Parser::new(text);
        let parsed = parser.members(false)?;
        parser.end().map(|()| parsed)
    }
}

impl Item {
    /// Parses an item.
    ///
    /// # Errors
    /// If it is none.
    pub fn parse(text: &str) -> Parsed<Self> {
        let mut parser = Parser::new(text);
        let parsed = parser.item()?;
        parser.end().map(|()| parsed)
    }
}

/// The canonical form of a field whose type is not known: of each type that it can have, as long as they all write it the same.
/// An item is written as a list of one.
///
/// # Errors
/// If it has no such form.
pub fn canonical(text: &str) -> Parsed<String> {
    let written = |parsed: Parsed<Members>| {
        let mut form = String::new();
        parsed.map(|parsed| parsed.write(&mut form)).map(|()| form)
    };
    match (written(Members::dictionary(text)), written(Members::list(text))) {
        (Ok(one), Ok(other)) if one != other => Err(StructureError),
        (Ok(form), _) | (_, Ok(form)) => Ok(form),
        _ => Err(StructureError),
    }
}

/// Ends the parser where there are too many of something.
const fn few(count: usize) -> Parsed<()> {
    if count > COUNT_MAX { Err(StructureError) } else { Ok(()) }
}

struct Parser<'t> {
    rest: &'t [u8],
}

impl<'t> Parser<'t> {
    /// What is after the blanks at the beginning.
    fn new(text: &'t str) -> Self {
        Self { rest: text.trim_start_matches(' ').as_bytes() }
    }

    /// Only blanks may be left.
    fn end(mut self) -> Parsed<()> {
        self.skip(b" ");
        if self.rest.is_empty() { Ok(()) } else { Err(StructureError) }
    }

    fn skip(&mut self, bytes: &[u8]) {
        let end = self.rest.iter().position(|byte| !bytes.contains(byte)).unwrap_or(self.rest.len());
        self.rest = &self.rest[end..];
    }

    fn next_is(&mut self, byte: u8) -> bool {
        let is_next = self.rest.first() == Some(&byte);
        if is_next {
            self.rest = &self.rest[1..];
        }
        is_next
    }

    fn expect(&mut self, byte: u8) -> Parsed<()> {
        if self.next_is(byte) { Ok(()) } else { Err(StructureError) }
    }

    fn next(&mut self) -> Parsed<u8> {
        let (first, rest) = self.rest.split_first().ok_or(StructureError)?;
        self.rest = rest;
        Ok(*first)
    }

    fn take(&mut self, belongs: impl Fn(u8) -> bool) -> &'t [u8] {
        let end = self.rest.iter().position(|byte| !belongs(*byte)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }

    /// Members with commas between them.
    fn members(&mut self, are_named: bool) -> Parsed<Members> {
        let mut found = Members::default();
        while !self.rest.is_empty() {
            let name = if are_named { self.key()? } else { String::new() };
            let member = if are_named && !self.next_is(b'=') {
                Member::Item(Item { value: Bare::Boolean(true), parameters: self.parameters()? })
            } else {
                self.member()?
            };
            match found.all.iter_mut().find(|(own, _)| are_named && *own == name) {
                Some((_, before)) => {
                    *before = member;
                    found.repeats = true;
                }
                None => found.all.push((name, member)),
            }
            few(found.all.len())?;
            self.skip(b" \t");
            if self.rest.is_empty() {
                break;
            }
            self.expect(b',')?;
            self.skip(b" \t");
            if self.rest.is_empty() {
                return Err(StructureError);
            }
        }
        Ok(found)
    }

    fn member(&mut self) -> Parsed<Member> {
        if self.rest.first() == Some(&b'(') {
            self.inner_list().map(Member::Inner)
        } else {
            self.item().map(Member::Item)
        }
    }

    fn inner_list(&mut self) -> Parsed<InnerList> {
        self.expect(b'(')?;
        let mut items = Vec::new();
        loop {
            self.skip(b" ");
            if self.next_is(b')') {
                return Ok(InnerList { items, parameters: self.parameters()? });
            }
            items.push(self.item()?);
            few(items.len())?;
            if !matches!(self.rest.first(), Some(b' ' | b')')) {
                return Err(StructureError);
            }
        }
    }

    fn item(&mut self) -> Parsed<Item> {
        Ok(Item { value: self.bare()?, parameters: self.parameters()? })
    }

    fn parameters(&mut self) -> Parsed<Parameters> {
        let mut all = Parameters::default();
        while self.next_is(b';') {
            self.skip(b" ");
            let name = self.key()?;
            let value = if self.next_is(b'=') { self.bare()? } else { Bare::Boolean(true) };
            match all.0.iter_mut().find(|(own, _)| *own == name) {
                Some((_, before)) => *before = value,
                None => all.0.push((name, value)),
            }
            few(all.0.len())?;
        }
        Ok(all)
    }

    fn key(&mut self) -> Parsed<String> {
        if !self.rest.first().is_some_and(|first| first.is_ascii_lowercase() || *first == b'*') {
            return Err(StructureError);
        }
        Ok(text(self.take(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-.*".contains(&byte))))
    }

    fn bare(&mut self) -> Parsed<Bare> {
        match self.rest.first().ok_or(StructureError)? {
            b'-' | b'0'..=b'9' => self.number(),
            b'"' => self.string().map(Bare::String),
            b'*' | b'A'..=b'Z' | b'a'..=b'z' => Ok(Bare::Token(text(self.take(is_token)))),
            b':' => self.bytes().map(Bare::Bytes),
            b'?' => self.boolean(),
            b'@' => {
                self.expect(b'@')?;
                match self.number()? {
                    Bare::Integer(seconds) => Ok(Bare::Date(seconds)),
                    _ => Err(StructureError),
                }
            }
            b'%' => self.display().map(Bare::Display),
            _ => Err(StructureError),
        }
    }

    fn number(&mut self) -> Parsed<Bare> {
        let sign = if self.next_is(b'-') { -1 } else { 1 };
        let whole = self.take(|byte| byte.is_ascii_digit());
        let is_decimal = self.next_is(b'.');
        let digits_max = if is_decimal { DECIMAL_DIGITS_MAX } else { INTEGER_DIGITS_MAX };
        if !(1..=digits_max).contains(&whole.len()) {
            return Err(StructureError);
        }
        let value = |digits: &[u8]| digits.iter().fold(0i64, |sum, digit| sum * 10 + i64::from(digit - b'0'));
        if !is_decimal {
            return Ok(Bare::Integer(sign * value(whole)));
        }
        let part = self.take(|byte| byte.is_ascii_digit());
        let scale = match part.len() {
            1 => 100,
            2 => 10,
            3 => 1,
            _ => return Err(StructureError),
        };
        Ok(Bare::Decimal(sign * (value(whole) * 1_000 + value(part) * scale)))
    }

    fn string(&mut self) -> Parsed<String> {
        self.expect(b'"')?;
        let mut out = String::new();
        loop {
            match self.next()? {
                b'"' => return Ok(out),
                b'\\' => match self.next()? {
                    escaped @ (b'"' | b'\\') => out.push(char::from(escaped)),
                    _ => return Err(StructureError),
                },
                byte @ 0x20..=0x7e => out.push(char::from(byte)),
                _ => return Err(StructureError),
            }
        }
    }

    /// Padding may be missing (section 4.2.7).
    fn bytes(&mut self) -> Parsed<Vec<u8>> {
        self.expect(b':')?;
        let mut encoded = text(self.take(|byte| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte)));
        self.expect(b':')?;
        while !encoded.len().is_multiple_of(4) && !encoded.ends_with("==") {
            encoded.push('=');
        }
        Base64::decode_vec(&encoded).map_err(|_| StructureError)
    }

    fn boolean(&mut self) -> Parsed<Bare> {
        self.expect(b'?')?;
        match self.next()? {
            b'0' => Ok(Bare::Boolean(false)),
            b'1' => Ok(Bare::Boolean(true)),
            _ => Err(StructureError),
        }
    }

    fn display(&mut self) -> Parsed<String> {
        self.expect(b'%')?;
        self.expect(b'"')?;
        let mut out = Vec::new();
        loop {
            match self.next()? {
                b'"' => return String::from_utf8(out).map_err(|_| StructureError),
                b'%' => {
                    let mut byte = [0];
                    if !hex::read(&[self.next()?, self.next()?], &mut byte) {
                        return Err(StructureError);
                    }
                    out.extend(byte);
                }
                byte @ 0x20..=0x7e => out.push(byte),
                _ => return Err(StructureError),
            }
        }
    }
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~:/".contains(&byte)
}

/// Bytes of which it was checked that they are ASCII.
fn text(ascii: &[u8]) -> String {
    String::from_utf8_lossy(ascii).into_owned()
}

const INTEGER_DIGITS_MAX: usize = 15;
const DECIMAL_DIGITS_MAX: usize = 12;

/// Members, items or parameters in one place: names are compared with all before them.
const COUNT_MAX: usize = 256;
