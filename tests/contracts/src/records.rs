//! The contract of [`Records`].

use tollgate_core::bounds::WRITTEN_BYTES_MAX;
use tollgate_edge::ports::{Clock, Host, Records, WriteFault};
use tollgate_kv_schemas::{Id, keys};

use crate::breach::{present, same_bytes};
use crate::stage::{Store, set_unavailable, write};
use crate::{Breach, Outcome, Subject};

/// A written record is read back completely, under its own key only; other keys are absent.
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
    ensure_eq!(read(subject, "g:part:").await?, None, "a prefix is not a key");
    ensure_eq!(read(subject, "G:PART:A").await?, None, "keys are compared by case");
    Ok(())
}

/// A later write replaces an earlier one, and a deletion is visible.
pub(crate) async fn sees_changes<S: Subject>(subject: &S) -> Outcome {
    for value in ["one", "two"] {
        write(subject, "g:k", Some(value)).await?;
        ensure_eq!(read(subject, "g:k").await?, Some(value.as_bytes().to_vec()), "the record");
    }
    write(subject, "g:k", None).await?;
    ensure_eq!(read(subject, "g:k").await?, None, "the deleted record");
    Ok(())
}

/// An unavailable store returns an error, which differs from an absent record; afterwards it has the same records.
pub(crate) async fn unavailable_is_not_absent<S: Subject>(subject: &S) -> Outcome {
    write(subject, "g:kept", Some("v")).await?;
    set_unavailable(subject, Store::Records, true).await?;
    for key in ["g:kept", "g:absent"] {
        ensure!(
            subject.host().records().read(key).await.is_err(),
            "{key} was answered while the store was unavailable"
        );
    }
    set_unavailable(subject, Store::Records, false).await?;
    ensure_eq!(read(subject, "g:kept").await?, Some(b"v".to_vec()), "the record afterwards");
    Ok(())
}

/// A record that the gateway writes is eventually read back completely, under its own key only.
pub(crate) async fn a_record_written_at_the_edge_is_read_back<S: Subject>(subject: &S) -> Outcome {
    let (key, bytes) = (fetched("read back"), vec![0xff; 100_000]);
    ensure_eq!(read(subject, &key).await?, None, "nothing is there yet");
    write_at_edge(subject, &key, &bytes, 600).await?;
    same_bytes(&present(read(subject, &key).await?, "the record")?, &bytes, "the record")?;
    ensure_eq!(read(subject, &fetched("another")).await?, None, "another record");
    Ok(())
}

/// Two writes of one key in short succession: the second is made, or it is refused as too often and the first is kept.
pub(crate) async fn a_second_write_is_made_or_refused_by_name<S: Subject>(subject: &S) -> Outcome {
    let key = fetched("twice");
    write_at_edge(subject, &key, b"one", 600).await?;
    let expected = match subject.host().records().write(&key, b"two", 600).await {
        Ok(()) => b"two",
        Err(WriteFault::TooOften) => b"one",
        Err(fault) => return Err(fault.into()),
    };
    ensure_eq!(read(subject, &key).await?, Some(expected.to_vec()), "the record");
    Ok(())
}

/// The gateway cannot write published records, and its own records are small.
pub(crate) async fn nothing_but_records_of_the_edge_is_written<S: Subject>(subject: &S) -> Outcome {
    let records = subject.host().records();
    for key in ["g:config:active", "g:credential:fetched", "fetched"] {
        ensure_eq!(records.write(key, b"x", 600).await, Err(WriteFault::Refused), "{key}");
        ensure_eq!(read(subject, key).await?, None, "{key}");
    }
    let large = vec![b'x'; WRITTEN_BYTES_MAX + 1];
    ensure_eq!(records.write(&fetched("large"), &large, 600).await, Err(WriteFault::Refused), "a large record");
    Ok(())
}

/// A record that an operator keeps is read back, and other published records cannot be kept.
pub(crate) async fn what_operators_keep_is_read_back_and_nothing_else_is_kept<S: Subject>(subject: &S) -> Outcome {
    let records = subject.host().records();
    let key = "g:credential:kept";
    ensure_eq!(records.keep(key, b"one").await, Ok(()), "the record");
    ensure_eq!(read(subject, key).await?, Some(b"one".to_vec()), "the record");
    for key in ["g:config:active", "g:part:x", "g:fetched:x", "credential"] {
        ensure_eq!(records.keep(key, b"x").await, Err(WriteFault::Refused), "{key}");
    }
    set_unavailable(subject, Store::Records, true).await?;
    let kept = records.keep("g:credential:unavailable", b"x").await;
    set_unavailable(subject, Store::Records, false).await?;
    ensure!(matches!(kept, Err(WriteFault::Unavailable(_))), "{kept:?} while the store was unavailable");
    Ok(())
}

/// Keys are listed in order, each once over all pages, and no key of another prefix is.
pub(crate) async fn keys_are_listed_in_pages<S: Subject>(subject: &S) -> Outcome {
    let listed = |n: usize| format!("g:consumer-key:listed:{n:02}");
    for n in [4, 0, 3, 1, 2] {
        write(subject, &listed(n), Some("x")).await?;
    }
    for other in
        ["g:consumer-key:liste", "g:consumer-key:listed", "g:consumer-key:listee:00", "h:consumer-key:listed:00"]
    {
        write(subject, other, Some("x")).await?;
    }
    let (mut found, mut cursor) = (Vec::new(), None);
    for _ in 0..4 {
        let page = subject.host().records().list("g:consumer-key:listed:", cursor.as_deref(), 2).await?;
        ensure!(page.keys.len() <= 2, "{} keys on a page of 2", page.keys.len());
        found.extend(page.keys);
        cursor = page.cursor;
        if cursor.is_none() {
            break;
        }
    }
    ensure_eq!(cursor, None, "the cursor after three pages");
    ensure_eq!(found, (0..5).map(listed).collect::<Vec<_>>(), "the keys");
    let none = subject.host().records().list("g:consumer-key:nobody:", None, 2).await?;
    ensure_eq!((none.keys.len(), none.cursor), (0, None), "a prefix without keys");
    set_unavailable(subject, Store::Records, true).await?;
    let failed = subject.host().records().list("g:consumer-key:listed:", None, 2).await;
    set_unavailable(subject, Store::Records, false).await?;
    ensure!(failed.is_err(), "{failed:?} while the store was unavailable");
    Ok(())
}

/// Batches of usage take no place of each other, whatever their names begin with, and are listed.
pub(crate) async fn batches_of_usage_are_all_kept<S: Subject>(subject: &S) -> Outcome {
    let batch = |n: usize| format!("g:usage:2026-11-28T23:000000{n:02}");
    for n in 0..6 {
        write_at_edge(subject, &batch(n), batch(n).as_bytes(), 600).await?;
    }
    for n in 0..6 {
        ensure_eq!(read(subject, &batch(n)).await?, Some(batch(n).into_bytes()), "batch {n}");
    }
    let page = subject.host().records().list("g:usage:2026-11-28", None, 10).await?;
    ensure_eq!(page.keys, (0..6).map(batch).collect::<Vec<_>>(), "the keys");
    Ok(())
}

/// An expired record is absent.
pub(crate) async fn a_record_is_gone_after_its_time<S: Subject>(subject: &S) -> Outcome {
    let key = fetched("short");
    write_at_edge(subject, &key, b"x", 1).await?;
    subject.host().clock().sleep(1_200).await;
    ensure_eq!(read(subject, &key).await?, None, "the record after its time");
    Ok(())
}

/// An unavailable store returns an error to writers.
pub(crate) async fn writing_while_unavailable_is_an_error<S: Subject>(subject: &S) -> Outcome {
    let key = fetched("unavailable");
    set_unavailable(subject, Store::Records, true).await?;
    let written = subject.host().records().write(&key, b"x", 600).await;
    set_unavailable(subject, Store::Records, false).await?;
    ensure!(matches!(written, Err(WriteFault::Unavailable(_))), "{written:?} while the store was unavailable");
    ensure_eq!(read(subject, &key).await?, None, "the record afterwards");
    Ok(())
}

fn fetched(name: &str) -> String {
    keys::fetched("g", &Id::of(name.as_bytes()))
}

async fn write_at_edge<S: Subject>(subject: &S, key: &str, bytes: &[u8], keep_s: u32) -> Outcome {
    Ok(subject.host().records().write(key, bytes, keep_s).await?)
}

async fn read<S: Subject>(subject: &S, key: &str) -> Result<Option<Vec<u8>>, Breach> {
    Ok(subject.host().records().read(key).await?)
}
