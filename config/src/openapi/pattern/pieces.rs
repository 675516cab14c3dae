//! The fixed texts and values of a path of OpenAPI, or of a URI template (RFC 6570).

/// A part of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::openapi) enum Piece<'p> {
    Text(&'p str),
    /// A value within a segment.
    Value,
    /// A value of one segment or several.
    Values,
}

/// The parts of a path, which begins with a slash.
pub(in crate::openapi) fn pieces(path: &str) -> Vec<Piece<'_>> {
    let mut pieces = if path.starts_with('/') { Vec::new() } else { vec![Piece::Text("/")] };
    let mut rest = path;
    while let Some(at) = rest.find(['{', '?', '#']) {
        let (before, tail) = rest.split_at(at);
        pieces.push(Piece::Text(before));
        if !tail.starts_with('{') {
            return pieces;
        }
        rest = if let Some(end) = closing(tail) {
            pieces.extend(expression(&tail[1..end]));
            &tail[end + 1..]
        } else {
            // A brace that is not closed is a value until the end of the segment.
            pieces.push(Piece::Value);
            tail.find('/').map_or("", |end| &tail[end..])
        };
    }
    pieces.push(Piece::Text(rest));
    pieces
}

/// The brace that closes the first one; regular expressions of other tools have braces in braces.
fn closing(text: &str) -> Option<usize> {
    let mut open = 0_usize;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'{' => open += 1,
            b'}' if open == 1 => return Some(at),
            b'}' => open -= 1,
            _ => {}
        }
    }
    None
}

/// What a text in braces stands for; a query, a fragment and matrix parameters are no part of a path.
fn expression(text: &str) -> &'static [Piece<'static>] {
    let is_several = text.ends_with(['+', '*']);
    match text.chars().next() {
        Some('?' | '&' | '#' | ';') => &[],
        Some('/') if is_several => &[Piece::Text("/"), Piece::Values],
        Some('/') => &[Piece::Text("/"), Piece::Value],
        Some('.') => &[Piece::Text("."), Piece::Value],
        Some('+' | '*') => &[Piece::Values],
        _ if is_several => &[Piece::Values],
        _ => &[Piece::Value],
    }
}
