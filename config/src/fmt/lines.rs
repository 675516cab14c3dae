//! The lines of a text. In YAML, a line ends with LF, CR LF or CR.

/// The positions of the lines of a text; lines and columns are counted from 0.
pub(super) struct Lines<'t> {
    text: &'t str,
    starts: Vec<usize>,
}

impl<'t> Lines<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        let bytes = text.as_bytes();
        let ends = |at: &usize| bytes[*at] == b'\n' || (bytes[*at] == b'\r' && bytes.get(at + 1) != Some(&b'\n'));
        let starts = (0..bytes.len()).filter(ends).map(|at| at + 1);
        Self { text, starts: std::iter::once(0).chain(starts).collect() }
    }

    /// The line that contains a byte.
    pub(super) fn line(&self, at: usize) -> usize {
        self.starts.partition_point(|start| *start <= at).saturating_sub(1)
    }

    /// The beginning of a line; after the last line, the end of the text.
    pub(super) fn start(&self, line: usize) -> usize {
        self.starts.get(line).copied().unwrap_or(self.text.len())
    }

    /// A line without its line break.
    pub(super) fn text(&self, line: usize) -> &'t str {
        self.text[self.start(line)..self.start(line + 1)].trim_end_matches(['\n', '\r'])
    }

    /// The characters before a byte on its line.
    pub(super) fn column(&self, at: usize) -> usize {
        self.text
            .get(self.start(self.line(at))..at)
            .map_or(0, |before| before.trim_start_matches('\u{feff}').chars().count())
    }

    /// The bytes before a byte on its line.
    pub(super) fn column_bytes(&self, at: usize) -> usize {
        at - self.start(self.line(at))
    }

    /// Whether there is a blank line between two lines.
    pub(super) fn blank_between(&self, before: usize, after: usize) -> bool {
        (before + 1..after).any(|line| self.text(line).trim().is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_break_of_yaml_ends_a_line() {
        let lines = Lines::new("a\nbb\r\n\rd");
        let texts: Vec<_> = (0..5).map(|line| lines.text(line)).collect();
        assert_eq!(texts, ["a", "bb", "", "d", ""]);
        assert_eq!([0, 1, 2, 3, 5, 6, 7].map(|at| lines.line(at)), [0, 0, 1, 1, 1, 2, 3]);
        assert!(lines.blank_between(1, 3) && !lines.blank_between(0, 1));
    }
}
