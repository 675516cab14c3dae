//! Secrets of projects: whether they have a value, never the value.

use serde::{Deserialize, Serialize};

use super::SECRET_PREFIX;
use crate::authn::{WEBHOOK_SECRET_BYTES_MIN, is_standard_secret};
use crate::problem::{Problem, ProblemKind};
use crate::secret::{Secret, is_secret_name};

/// What is told of a secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretView {
    /// Its name.
    pub name: String,
    /// How many values it has: none, one, or two while it is rotated.
    pub values: usize,
    /// Whether a value has fewer bytes than a shared secret needs.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_short: bool,
    /// Whether all values are secrets of Standard Webhooks.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_standard_webhook: bool,
}

impl SecretView {
    /// What is told of a secret that has this text, if it has one.
    #[must_use]
    pub fn of(name: &str, secret: Option<&Secret>) -> Self {
        let values = secret.map(Secret::values).unwrap_or_default();
        let values: Vec<&str> = values.into_iter().filter(|value| !value.is_empty()).collect();
        Self {
            name: name.to_owned(),
            values: values.len(),
            is_short: values.iter().any(|value| value.len() < WEBHOOK_SECRET_BYTES_MIN),
            is_standard_webhook: !values.is_empty() && values.iter().all(|value| is_standard_secret(value)),
        }
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
            let told = SecretView { is_short: false, ..SecretView::of("TOKEN", secret.as_ref()) };
            assert_eq!(serde_json::to_string(&told).unwrap(), format!(r#"{{"name":"TOKEN","values":{values}}}"#));
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn what_every_value_can_be_is_told() {
        const STANDARD: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        for (text, is_short, is_standard) in [
            ("", false, false),
            ("fifteen letters", true, false),
            ("a secret of GitHub", false, false),
            (STANDARD, false, true),
            (&format!("{STANDARD}\n{STANDARD}"), false, true),
            (&format!("{STANDARD}\nshort"), true, false),
            ("whsec_not base64 at all", false, false),
        ] {
            let told = SecretView::of("TOKEN", Some(&Secret::new(text.to_owned())));
            assert_eq!((told.is_short, told.is_standard_webhook), (is_short, is_standard), "{text}");
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
