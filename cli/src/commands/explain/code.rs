//! The explanation of a diagnostic's code: its page of `docs/diagnostics/`, formatted for a terminal.

use serde_json::json;
use tollgate_config::Code;

use super::Output;
use crate::failure::Failure;
use crate::terminal;

/// Prints the explanation of the code in `text`.
pub(super) fn explain(text: &str, output: Output) -> Result<(), Failure> {
    let looks_like_code = text.get(..2).is_some_and(|start| start.eq_ignore_ascii_case("tg"));
    let Some(code) = Code::find(text) else {
        return Err(if looks_like_code {
            Failure::problem(format!("unknown diagnostic {text}; docs/diagnostics/README.md lists all"))
        } else {
            Failure::usage(format!("name a URL to explain: tollgate explain {text} /path"))
        });
    };
    terminal::print(&match output {
        Output::Text => page(code).map_or_else(|| explanation(code), shown),
        Output::Json => format!(
            "{:#}\n",
            json!({
                "code": code.id(),
                "name": code.name(),
                "title": code.title(),
                "explanation": code.explanation(),
                "page": page(code),
            })
        ),
    });
    Ok(())
}

fn page(code: Code) -> Option<&'static str> {
    PAGES.iter().find(|(id, _)| *id == code.id()).map(|(_, page)| *page)
}

/// Title and explanation alone, for a code without a page.
fn explanation(code: Code) -> String {
    format!("{}\n\n{}\n", terminal::heading(&format!("{code}: {}", code.title())), fold(code.explanation()))
}

/// The Markdown of a page as plain text: highlighted headings, indented code blocks, wrapped paragraphs.
fn shown(page: &str) -> String {
    let mut out = String::new();
    let mut in_block = false;
    for line in page.lines() {
        if line.starts_with("```") {
            in_block = !in_block;
        } else if in_block {
            out.push_str(format!("    {line}").trim_end());
            out.push('\n');
        } else if let Some(head) = line.strip_prefix("## ").or_else(|| line.strip_prefix("# ")) {
            out.push_str(&format!("{}\n", terminal::heading(head)));
        } else if !line.starts_with("[All diagnostics]") {
            out.push_str(&format!("{}\n", fold(line)));
        }
    }
    format!("{}\n", out.trim_end())
}

/// The text in lines of at most 100 characters.
fn fold(text: &str) -> String {
    let mut out = String::new();
    let mut width = 0;
    for word in text.split_whitespace() {
        let length = word.chars().count();
        if width > 0 && width + 1 + length > 100 {
            out.push('\n');
            width = 0;
        } else if width > 0 {
            out.push(' ');
            width += 1;
        }
        out.push_str(word);
        width += length;
    }
    out
}

/// The pages by their codes, built into this program.
const PAGES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/pages.rs"));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_page_to_show() {
        for &code in Code::ALL {
            let shown = page(code).map(shown).unwrap_or_default();
            assert!(shown.starts_with(&format!("{code}: ")), "{code}: {shown}");
            assert!(!shown.contains("```") && !shown.contains("\n#"), "{shown}");
        }
    }

    #[test]
    fn examples_are_indented_and_paragraphs_folded() {
        let text =
            format!("# T\n\n{}\n\n```yaml\na: 1\n\nb: 2\n```\n\n[All diagnostics](README.md)\n", "word ".repeat(40));
        let shown = shown(&text);
        assert!(shown.contains("\n    a: 1\n\n    b: 2\n"), "{shown}");
        assert!(shown.lines().all(|line| line.len() <= 100) && !shown.contains("All diagnostics"), "{shown}");
    }
}
