//! The scanner of YAML, with one correction: a tab may separate a value from its `:`.
//!
//! YAML 1.2.2 (section 6.2) separates tokens by spaces and tabs. The scanner refuses `name:<tab>x`, because a tab must not be
//! the indentation of a nested block collection. Only the latter remains refused here.

use saphyr_parser::input::SkipTabs;
use saphyr_parser::{Input, Marker, Parser, ScanError, StrInput};

use super::line;
use crate::place::Position;

/// The events of a text.
pub(crate) type Events<'t> = Parser<'t, Scan<'t>>;

/// The events of a text.
pub(crate) fn events(text: &str) -> Events<'_> {
    Parser::new(Scan(StrInput::new(text)))
}

/// The characters of a text.
#[derive(Clone, Copy)]
pub(crate) struct Scan<'t>(StrInput<'t>);

impl Input for Scan<'_> {
    /// Reports tabs as valid whitespace, unless a nested list begins after them.
    fn skip_ws_to_eol(&mut self, skip_tabs: SkipTabs) -> (usize, Result<SkipTabs, &'static str>) {
        match self.0.skip_ws_to_eol(skip_tabs) {
            (count, Ok(SkipTabs::Result(true, false))) => {
                let begins_list =
                    self.0.next_char_is('-') && matches!(self.0.peek_nth(1), ' ' | '\t' | '\n' | '\r' | '\0');
                (count, Ok(SkipTabs::Result(true, !begins_list)))
            }
            other => other,
        }
    }

    fn lookahead(&mut self, count: usize) {
        self.0.lookahead(count);
    }

    fn buflen(&self) -> usize {
        self.0.buflen()
    }

    fn bufmaxlen(&self) -> usize {
        self.0.bufmaxlen()
    }

    fn raw_read_ch(&mut self) -> char {
        self.0.raw_read_ch()
    }

    fn raw_read_non_breakz_ch(&mut self) -> Option<char> {
        self.0.raw_read_non_breakz_ch()
    }

    fn skip(&mut self) {
        self.0.skip();
    }

    fn skip_n(&mut self, count: usize) {
        self.0.skip_n(count);
    }

    fn peek(&self) -> char {
        self.0.peek()
    }

    fn peek_nth(&self, n: usize) -> char {
        self.0.peek_nth(n)
    }

    fn peek_opt(&self) -> Option<char> {
        self.0.peek_opt()
    }

    // The methods below have slower defaults.

    fn next_is_document_indicator(&self) -> bool {
        self.0.next_is_document_indicator()
    }

    fn next_is_document_start(&self) -> bool {
        self.0.next_is_document_start()
    }

    fn next_is_document_end(&self) -> bool {
        self.0.next_is_document_end()
    }

    fn next_can_be_plain_scalar(&self, in_flow: bool) -> bool {
        self.0.next_can_be_plain_scalar(in_flow)
    }

    fn skip_while_non_breakz(&mut self) -> usize {
        self.0.skip_while_non_breakz()
    }

    fn skip_while_blank(&mut self) -> usize {
        self.0.skip_while_blank()
    }

    fn fetch_while_is_alpha(&mut self, out: &mut String) -> usize {
        self.0.fetch_while_is_alpha(out)
    }

    fn fetch_while_is_yaml_non_space(&mut self, out: &mut String) -> usize {
        self.0.fetch_while_is_yaml_non_space(out)
    }
}

/// The position of a marker.
pub(crate) fn position(marker: &Marker) -> Position {
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Position { line: number(marker.line()), column: number(marker.col()).saturating_add(1) }
}

/// The position of an error; for a wrong tab, that of the tab: the scanner reports a position before or after it.
pub(crate) fn error_at(text: &str, error: &ScanError) -> Position {
    let at = position(error.marker());
    let tab = if error.info().contains("valid YAML whitespace") {
        tab_before(text, at)
    } else if error.info().contains("tab") {
        tab_from(text, at)
    } else {
        None
    };
    tab.unwrap_or(at)
}

/// How to correct a syntax error.
pub(crate) fn syntax_fix(text: &str, at: Position, what: &str) -> &'static str {
    match character(text, at) {
        Some('{') => "quote a string that contains `{` if it is inside `{...}` or `[...]`",
        Some('\t') => "indent with spaces: YAML does not allow tabs as indentation",
        _ if what.ends_with("unknown anchor") => {
            "define the anchor (`&name`) before the alias, or quote a string that begins with `*`"
        }
        _ => "check the indentation, quotes and brackets here and on the line above",
    }
}

/// The first indenting tab, starting at a line.
fn tab_from(text: &str, start: Position) -> Option<Position> {
    let lines = (start.line..).map_while(|number| line(text, number).map(|text| (number, text)));
    lines.take(TAB_LINES_MAX).find_map(|(line, text)| {
        let indent = text.chars().take_while(|c| c.is_whitespace());
        let before = indent.take_while(|c| *c != '\t').count();
        let column = u32::try_from(before).ok()?.checked_add(1)?;
        (text.chars().nth(before) == Some('\t')).then_some(Position { line, column })
    })
}

fn tab_before(text: &str, at: Position) -> Option<Position> {
    let before = Position { column: at.column.checked_sub(1)?, ..at };
    (character(text, before) == Some('\t')).then_some(before)
}

fn character(text: &str, at: Position) -> Option<char> {
    line(text, at.line)?.chars().nth(usize::try_from(at.column.checked_sub(1)?).ok()?)
}

/// The number of lines that are searched for the tab that the scanner reports.
const TAB_LINES_MAX: usize = 3;
