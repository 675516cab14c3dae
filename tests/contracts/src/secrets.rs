//! The contract of [`Secrets`].

use tollgate_edge::ports::{Host, Secrets};

use crate::breach::present;
use crate::{Outcome, Subject};

/// A secret is found by its exact name only, and is never printed.
pub(crate) async fn finds_by_exact_name<S: Subject>(subject: &S) -> Outcome {
    let secrets = subject.host().secrets();
    let found = present(secrets.secret("TOKEN").await?, "the secret")?;
    ensure_eq!(found.expose(), "s3cret", "the secret");
    ensure!(!format!("{found:?}").contains("s3cret"), "the secret was printed");
    for name in ["OTHER", "", "TOKEN2", "../TOKEN"] {
        ensure!(secrets.secret(name).await?.is_none(), "{name:?} is found");
    }
    Ok(())
}
