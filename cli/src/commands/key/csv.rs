//! Tables in CSV (RFC 4180).

/// The rows of a table, each with the number of its first line.
///
/// # Errors
/// The line in which a quoted value does not end, or is followed by something else.
pub(super) fn rows(text: &str) -> Result<Vec<(usize, Vec<String>)>, usize> {
    let (mut rows, mut row, mut value) = (Vec::new(), Vec::new(), String::new());
    let (mut line, mut first) = (1, 1);
    let mut chars = text.chars().filter(|c| *c != '\r').peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if value.is_empty() => {
                loop {
                    match chars.next().ok_or(first)? {
                        '"' if chars.next_if_eq(&'"').is_none() => break,
                        c => {
                            line += usize::from(c == '\n');
                            value.push(c);
                        }
                    }
                }
                if !matches!(chars.peek(), None | Some(',' | '\n')) {
                    return Err(line);
                }
            }
            ',' => row.push(std::mem::take(&mut value)),
            '\n' => {
                row.push(std::mem::take(&mut value));
                rows.push((first, std::mem::take(&mut row)));
                line += 1;
                first = line;
            }
            c => value.push(c),
        }
    }
    if !value.is_empty() || !row.is_empty() {
        row.push(value);
        rows.push((first, row));
    }
    rows.retain(|(_, row)| row.iter().any(|value| !value.is_empty()));
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_may_be_quoted_and_have_several_lines() {
        let read = rows("a,b\r\n\n1,\"x, \"\"y\"\"\nz\"\n,2").expect("a table");
        let row = |line, values: &[&str]| (line, values.iter().map(|value| (*value).to_owned()).collect::<Vec<_>>());
        assert_eq!(read, [row(1, &["a", "b"]), row(3, &["1", "x, \"y\"\nz"]), row(5, &["", "2"])]);
        assert_eq!((rows("a\n\"b"), rows("a\n\"b\"c,d")), (Err(2), Err(2)));
        assert_eq!(rows(""), Ok(vec![]));
    }
}
