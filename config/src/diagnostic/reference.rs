//! The reference page of all diagnostic codes, written from the one table.

use super::Code;

/// The page `docs/diagnostics.md`, in Markdown.
#[must_use]
pub fn reference_page() -> String {
    let mut page = String::from(HEAD);
    for code in Code::ALL {
        page.push_str(&format!(
            "\n## {}: {}\n\n{}\n",
            code.id(),
            code.title().trim_end_matches('.'),
            code.explanation()
        ));
    }
    page
}

const HEAD: &str = "# Diagnostics

What the compiler says about a project, by code. A code keeps its meaning for ever. `TG01..` is about reading files,
`TG02..` about the shape of what is written, `TG03..` about single settings, `TG04..` about how they work together,
`TG05..` about the local fixtures, `TG08..` about bounds and prices, `TG09..` about policy tests.

This page is written from the table in `config/src/diagnostic/codes.rs`; a test compares them.
To write it anew: `TOLLGATE_BLESS=1 cargo test -p tollgate-config --test documents`.
";
