//! Writing to the person: colour only where a terminal shows it, and no failure when nobody reads.

use std::io::{IsTerminal, Write};

/// Writes to standard output; a reader that has gone away is no error.
pub(crate) fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Writes a line to standard error, which is where everything goes that is not the answer itself.
pub(crate) fn tell(text: &str) {
    let mut out = std::io::stderr().lock();
    let _ = writeln!(out, "{}", text.trim_end()).and_then(|()| out.flush());
}

/// Whether standard output shows colours.
pub(crate) fn colour_out() -> bool {
    std::io::stdout().is_terminal() && is_wanted()
}

/// Whether standard error shows colours.
pub(crate) fn colour_err() -> bool {
    std::io::stderr().is_terminal() && is_wanted()
}

/// By <https://no-color.org>.
fn is_wanted() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// A heading on standard output.
pub(crate) fn heading(text: &str) -> String {
    if colour_out() { format!("\x1b[1m{text}\x1b[0m") } else { text.to_owned() }
}

/// The mark of an error on standard error.
pub(crate) fn mark_error(text: &str) -> String {
    if colour_err() { format!("\x1b[1;31m{text}\x1b[0m") } else { text.to_owned() }
}

/// Rows as columns of one width each, the first row the heads; the last column is as wide as it likes.
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|c| c.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let mut out = String::new();
    for row in rows {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        out.push_str(cells.join("  ").trim_end());
        out.push('\n');
    }
    out
}

/// Text from outside without control characters, which a terminal would obey.
pub(crate) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_columns_of_one_width_and_no_trailing_blanks() {
        let rows = [vec!["A".into(), "B".into()], vec!["long".into(), "x".into()], vec!["s".into(), String::new()]];
        assert_eq!(table(&rows), "A     B\nlong  x\ns\n");
    }
}
