//! Secrets of projects: whether they have a value, never the value.

use serde::{Deserialize, Serialize};

use super::SECRET_PREFIX;
use crate::problem::{Problem, ProblemKind};
use crate::secret::{Secret, is_secret_name};

/// What is told of a secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretView {
    /// Its name.
    pub name: String,
    /// How many values it has: none, one, or two while it is rotated.
    pub values: usize,
}

impl SecretView {
    /// What is told of a secret that has this text, if it has one.
    #[must_use]
    pub fn of(name: &str, secret: Option<&Secret>) -> Self {
        let values = secret.map_or(0, |secret| secret.values().iter().filter(|value| !value.is_empty()).count());
        Self { name: name.to_owned(), values }
    }

    /// Checks that the name is one that a project can use.
    ///
    /// # Errors
    /// The problem for the response. Tokens of operators are no secrets of projects.
    pub fn check(name: &str) -> Result<(), Problem> {
        if is_secret_name(name) && !name.starts_with(SECRET_PREFIX) {
            return Ok(());
        }
        let detail = "The name of a secret has 1 to 64 upper-case letters, digits and `_`, and does not begin as those of the tokens of operators.";
        Err(Problem::plain(ProblemKind::BadRequest, detail))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    #[wasm_bindgen_test(unsupported = test)]
    fn values_are_counted_and_not_told() {
        for (text, values) in [(None, 0), (Some(""), 0), (Some("\n"), 0), (Some("a"), 1), (Some("new\nold\n"), 2)] {
            let secret = text.map(|text: &str| Secret::new(text.to_owned()));
            let told = SecretView::of("TOKEN", secret.as_ref());
            assert_eq!(serde_json::to_string(&told).unwrap(), format!(r#"{{"name":"TOKEN","values":{values}}}"#));
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn nothing_is_told_of_the_tokens_of_operators() {
        assert!(SecretView::check("PETS_TOKEN").is_ok());
        for bad in ["", "pets", "A-B", &"A".repeat(65), "TOLLGATE_OPERATOR_READ"] {
            assert_eq!(SecretView::check(bad).unwrap_err().kind, ProblemKind::BadRequest, "{bad}");
        }
    }
}
