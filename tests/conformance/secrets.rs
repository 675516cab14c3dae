//! What [`Secrets`] promises. The subject holds `TOKEN` with the value `s3cret` and nothing else.

use tollgate_edge::ports::Secrets;

/// A secret is found by its exact name alone, and does not print.
pub(crate) async fn finds_by_exact_name(secrets: &impl Secrets) {
    let found = secrets.secret("TOKEN").await.expect("the store answers").expect("it is there");
    assert_eq!(found.expose(), "s3cret");
    assert!(!format!("{found:?}").contains("s3cret"));
    for name in ["OTHER", "", "TOKEN2", "../TOKEN"] {
        assert!(secrets.secret(name).await.is_ok_and(|secret| secret.is_none()), "{name}");
    }
}
