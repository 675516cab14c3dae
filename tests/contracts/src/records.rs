//! What [`Records`] promises.

use tollgate_edge::ports::{Host, Records};

use crate::breach::{present, same_bytes};
use crate::stage::{Store, away, write};
use crate::{Breach, Outcome, Subject};

/// What was written is read back whole, under its own key alone; what was not written is absent.
pub(crate) async fn reads_what_was_written<S: Subject>(subject: &S) -> Outcome {
    let large = "v".repeat(1 << 20);
    let values = [("g:part:a", "{\"a\":1}"), ("g:part:ab", "é\u{1f980}"), ("h:part:a", ""), ("g:large", &large)];
    ensure_eq!(read(subject, "g:part:a").await?, None, "nothing is there yet");
    for (key, value) in values {
        write(subject, key, Some(value)).await?;
    }
    for (key, value) in values {
        same_bytes(&present(read(subject, key).await?, key)?, value.as_bytes(), key)?;
    }
    ensure_eq!(read(subject, "g:part:").await?, None, "a prefix is no key");
    ensure_eq!(read(subject, "G:PART:A").await?, None, "keys are compared by case");
    Ok(())
}

/// A later write replaces an earlier one, and a deletion is seen.
pub(crate) async fn sees_changes<S: Subject>(subject: &S) -> Outcome {
    for value in ["one", "two"] {
        write(subject, "g:k", Some(value)).await?;
        ensure_eq!(read(subject, "g:k").await?, Some(value.as_bytes().to_vec()), "the record");
    }
    write(subject, "g:k", None).await?;
    ensure_eq!(read(subject, "g:k").await?, None, "the deleted record");
    Ok(())
}

/// A store that is away says so, which is not the same as an absent record; it comes back with what it had.
pub(crate) async fn away_is_not_absent<S: Subject>(subject: &S) -> Outcome {
    write(subject, "g:kept", Some("v")).await?;
    away(subject, Store::Records, true).await?;
    for key in ["g:kept", "g:absent"] {
        ensure!(subject.host().records().read(key).await.is_err(), "{key} was answered while the store was away");
    }
    away(subject, Store::Records, false).await?;
    ensure_eq!(read(subject, "g:kept").await?, Some(b"v".to_vec()), "the record afterwards");
    Ok(())
}

async fn read<S: Subject>(subject: &S, key: &str) -> Result<Option<Vec<u8>>, Breach> {
    Ok(subject.host().records().read(key).await?)
}
