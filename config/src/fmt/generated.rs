//! Random YAML with comments in all places.

use std::fmt::Write as _;

/// Writes YAML with comments in all places, with choices from a list of bytes; without remaining bytes, it chooses the
/// simplest form.
pub(super) struct Writer<'c> {
    choices: std::slice::Iter<'c, u8>,
    out: String,
    comments: usize,
    names: usize,
    anchors: Vec<usize>,
}

impl Writer<'_> {
    fn choose(&mut self, among: usize) -> usize {
        self.choices.next().map_or(0, |byte| usize::from(*byte)) % among
    }

    fn one_of(&mut self, words: &[&str]) {
        let place = self.choose(words.len());
        self.out.push_str(words[place]);
    }

    /// A text, and the number of its comments: `c1!`, `c2!` and so on.
    pub(super) fn document(choices: &[u8]) -> (String, usize) {
        let mut writer =
            Writer { choices: choices.iter(), out: String::new(), comments: 0, names: 0, anchors: Vec::new() };
        writer.lines(0);
        if writer.choose(4) == 1 {
            writer.out.push_str("---");
            writer.end_of_line();
        }
        writer.map(0, 0);
        writer.lines(9);
        let mut out = writer.out;
        match writer.comments % 4 {
            1 => out = out.replace('\n', "\r\n"),
            2 => out.insert(0, '\u{feff}'),
            _ => {}
        }
        (out, writer.comments)
    }

    fn comment(&mut self) {
        self.comments += 1;
        let form = ["# c", "#c", "#: c", "#\tc", "## c"][self.choose(5)];
        let _ = write!(self.out, "{form}{}!", self.comments);
        self.one_of(&["", " ", "  \t", " # : - [x] {"]);
    }

    fn end_of_line(&mut self) {
        match self.choose(5) {
            1 => {
                self.out.push(' ');
                self.comment();
            }
            2 => {
                self.out.push_str("\t  ");
                self.comment();
            }
            3 => self.out.push(' '),
            _ => {}
        }
        self.out.push('\n');
    }

    /// Blank lines, and comments up to the allowed depth.
    fn lines(&mut self, indent: usize) {
        for _ in 0..self.choose(4) {
            match self.choose(4) {
                1 => self.out.push_str("  "),
                2 => {
                    let deep = self.choose(indent + 4);
                    self.pad(deep);
                    self.comment();
                }
                3 => {
                    self.pad(indent);
                    self.comment();
                }
                _ => {}
            }
            self.out.push('\n');
        }
    }

    fn pad(&mut self, indent: usize) {
        self.out.extend(std::iter::repeat_n(' ', indent));
    }

    fn key(&mut self) {
        let known = [
            "format",
            "gateway",
            "name",
            "apis",
            "routes",
            "path",
            "kind",
            "rate",
            "upstreams",
            "authn",
            "any",
            "limit",
        ];
        self.names += 1;
        let number = self.names;
        let _ = match self.choose(6) {
            0 => write!(self.out, "k{number}"),
            1 => write!(self.out, "\"q {number}\""),
            2 => write!(self.out, "'é{number}'"),
            3 => write!(self.out, "{number}"),
            _ => write!(self.out, "{}", known[number % known.len()]),
        };
    }

    fn map(&mut self, indent: usize, depth: usize) {
        for _ in 0..=self.choose(4) {
            self.lines(indent);
            self.pad(indent);
            if self.choose(9) == 8 {
                self.out.push_str("? ");
                self.key();
                self.end_of_line();
                self.lines(indent);
                self.pad(indent);
            } else {
                self.key();
            }
            self.out.push(':');
            self.value(indent, depth, true);
        }
    }

    fn list(&mut self, indent: usize, depth: usize) {
        for _ in 0..=self.choose(4) {
            self.lines(indent);
            self.pad(indent);
            self.out.push('-');
            self.value(indent, depth, false);
        }
    }

    fn value(&mut self, indent: usize, depth: usize, after_key: bool) {
        let is_anchored = self.choose(8) == 7;
        if is_anchored {
            let _ = write!(self.out, " &a{}", self.names);
        }
        let deeper = indent + 1 + self.choose(4);
        match self.choose(if depth < 4 { 12 } else { 7 }) {
            0 | 1 => self.scalar(),
            2 if !self.anchors.is_empty() && !is_anchored => {
                let place = self.choose(self.anchors.len());
                let anchor = self.anchors[place];
                let _ = write!(self.out, " *a{anchor}");
                self.end_of_line();
            }
            3 => {
                self.end_of_line();
                self.lines(deeper);
                self.pad(deeper);
                self.scalar();
            }
            4 => self.block_scalar(deeper),
            5 | 6 => {
                self.out.push(' ');
                self.flow(deeper, depth);
                self.end_of_line();
            }
            7 if !is_anchored && !after_key => {
                self.out.push(' ');
                let first = self.out.rfind('\n').map_or(0, |at| at + 1);
                let column = self.out[first..].trim_start_matches('\u{feff}').chars().count();
                self.key();
                self.out.push(':');
                self.value(column, depth + 1, true);
                self.map(column, depth + 1);
            }
            8 | 9 => {
                self.end_of_line();
                self.map(deeper, depth + 1);
            }
            10 if after_key => {
                self.end_of_line();
                self.list(indent, depth + 1);
            }
            11 => {
                self.end_of_line();
                self.list(deeper, depth + 1);
            }
            _ => self.end_of_line(),
        }
        if is_anchored {
            self.anchors.push(self.names);
        }
    }

    fn scalar(&mut self) {
        self.out.push(' ');
        self.one_of(&[
            "x",
            "'x'",
            "\"x y\"",
            "1",
            "\"1\"",
            "'a: b'",
            "'a #b'",
            "/p/{id}",
            "10s",
            "-1",
            "~",
            "\"\\u00e9\\n\"",
            "'it''s'",
            "\"yes\"",
            "a\n                         b",
            "\"a\n\n                         b\"",
            "http://x:1/y",
            "[x]",
            "{}",
            "\"*\"",
        ]);
        self.end_of_line();
    }

    fn block_scalar(&mut self, indent: usize) {
        self.one_of(&[" |", " >", " |-", " >+", " |+"]);
        self.end_of_line();
        for _ in 0..=self.choose(3) {
            let text = ["x", "x # y", "  x", "", "\tx", "- x"][self.choose(6)];
            if !text.is_empty() {
                self.pad(indent);
            }
            self.out.push_str(text);
            self.out.push('\n');
        }
        self.pad(indent);
        self.out.push_str("end\n");
    }

    fn flow(&mut self, indent: usize, depth: usize) {
        let is_map = self.choose(2) == 1;
        self.out.push(if is_map { '{' } else { '[' });
        for place in 0..self.choose(5) {
            if place > 0 {
                self.one_of(&[", ", ",", " , "]);
            }
            self.flow_break(indent);
            if is_map {
                self.key();
                self.out.push_str(": ");
                self.flow_break(indent);
            }
            match self.choose(if depth < 4 { 7 } else { 5 }) {
                0 => self.out.push('w'),
                1 => self.out.push_str("'a, b'"),
                2 => self.out.push_str("\"{z}\""),
                3 => self.out.push_str("12"),
                4 => self.out.push_str("a_rather_long_word_that_makes_the_line_too_long_to_stay_one"),
                _ => self.flow(indent, depth + 1),
            }
        }
        self.flow_break(indent);
        self.out.push(if is_map { '}' } else { ']' });
    }

    fn flow_break(&mut self, indent: usize) {
        if self.choose(6) == 1 {
            self.end_of_line();
            self.lines(indent);
            self.pad(indent + 1);
        }
    }
}
