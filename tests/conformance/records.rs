//! What [`Records`] promises.

use tollgate_edge::ports::Records;

/// What was written is read back whole, under its own key alone; what was not written is absent.
pub(crate) async fn reads_what_was_written(records: &impl Records, write: impl Fn(&str, Option<&str>)) {
    let large = "v".repeat(1 << 20);
    let values = [("g:part:a", "{\"a\":1}"), ("g:part:ab", "é\u{1f980}"), ("h:part:a", ""), ("g:large", &large)];
    assert_eq!(records.read("g:part:a").await, Ok(None), "nothing is there yet");
    for (key, value) in values {
        write(key, Some(value));
    }
    for (key, value) in values {
        assert_eq!(records.read(key).await, Ok(Some(value.as_bytes().to_vec())), "{key}");
    }
    assert_eq!(records.read("g:part:").await, Ok(None), "a prefix is no key");
    assert_eq!(records.read("G:PART:A").await, Ok(None), "keys are compared by case");
}

/// A later write replaces an earlier one, and a deletion is seen.
pub(crate) async fn sees_changes(records: &impl Records, write: impl Fn(&str, Option<&str>)) {
    for value in ["one", "two"] {
        write("g:k", Some(value));
        assert_eq!(records.read("g:k").await, Ok(Some(value.as_bytes().to_vec())));
    }
    write("g:k", None);
    assert_eq!(records.read("g:k").await, Ok(None));
}

/// A store that is away says so, which is not the same as an absent record; it comes back with what it had.
pub(crate) async fn away_is_not_absent(
    records: &impl Records,
    write: impl Fn(&str, Option<&str>),
    fail: impl Fn(bool),
) {
    write("g:k", Some("v"));
    fail(true);
    assert!(records.read("g:k").await.is_err());
    assert!(records.read("g:absent").await.is_err());
    fail(false);
    assert_eq!(records.read("g:k").await, Ok(Some(b"v".to_vec())));
}
