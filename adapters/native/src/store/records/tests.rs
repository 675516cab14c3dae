use tollgate_core::cache::{CacheKey, Purge, Purges};
use tollgate_kv_schemas::{decode, encode};

use super::*;

fn put<'a>(key: &'a str, value: &'a str) -> RecordChange<'a> {
    RecordChange::Put { key, value: value.as_bytes() }
}

fn read(records: &NativeRecords, key: &str) -> Option<Vec<u8>> {
    let waiting = std::pin::pin!(records.read(key));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match waiting.poll(&mut context) {
        std::task::Poll::Ready(answer) => answer.unwrap(),
        std::task::Poll::Pending => panic!("reads are direct"),
    }
}

fn check_store(store: &RecordStore) {
    let reader = store.reader(Faults::default()).unwrap();
    let before = reader.version();
    assert_eq!(read(&reader, "g:a"), None);
    store.write(&[put("g:a", "1"), put("g:b", "2"), put("h:a", "3")]).unwrap();
    assert_eq!(read(&reader, "g:a").as_deref(), Some(&b"1"[..]));
    assert_ne!(reader.version(), before);
    assert_eq!(store.keys("g:", 10).unwrap(), ["g:a", "g:b"]);
    store.write(&[put("g:a", "9"), RecordChange::Delete { key: "g:b" }]).unwrap();
    assert_eq!(read(&reader, "g:a").as_deref(), Some(&b"9"[..]));
    assert_eq!(read(&reader, "g:b"), None);
    assert_eq!(store.read("h:a").unwrap().as_deref(), Some(&b"3"[..]));
}

#[test]
fn a_store_in_memory_is_shared_by_its_readers_on_any_thread() {
    let store = RecordStore::in_memory().unwrap();
    check_store(&store);
    let there = std::thread::spawn(move || {
        let reader = store.reader(Faults::default()).unwrap();
        read(&reader, "g:a")
    });
    assert_eq!(there.join().unwrap().as_deref(), Some(&b"9"[..]));
    assert_eq!(RecordStore::in_memory().unwrap().read("g:a").unwrap(), None);
}

#[test]
fn a_store_in_a_file_outlives_the_process_that_wrote_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("records.db");
    check_store(&RecordStore::create(&path).unwrap());
    let again = RecordStore::open(&path).unwrap();
    assert_eq!(again.read("g:a").unwrap().as_deref(), Some(&b"9"[..]));
}

#[test]
fn readers_on_many_threads_read_while_another_writes() {
    for store in [RecordStore::in_memory().unwrap(), {
        let folder = tempfile::tempdir().unwrap().keep();
        RecordStore::create(&folder.join("r.db")).unwrap()
    }] {
        store.write(&[put("k", "00000000")]).unwrap();
        let readers: Vec<_> = (0..3)
            .map(|_| {
                let store = store.clone();
                std::thread::spawn(move || {
                    let reader = store.reader(Faults::default()).unwrap();
                    (0..2000).for_each(|_| assert_eq!(read(&reader, "k").unwrap().len(), 8));
                })
            })
            .collect();
        for n in 0..200 {
            store.write(&[put("k", &format!("{n:08}"))]).unwrap();
        }
        readers.into_iter().for_each(|r| r.join().unwrap());
    }
}

#[test]
fn a_record_is_removed_after_its_expiry_and_kept_without_one() {
    let store = RecordStore::in_memory().unwrap();
    let at = Timestamp::from_millis;
    store.write(&[put("k", "1")]).unwrap();
    store.write_until("a", b"2", at(10), at(0)).unwrap();
    let read = |key: &str, ms| read_one(&store.writer.lock().unwrap(), key, at(ms)).unwrap();
    assert_eq!((read("a", 9).as_deref(), read("a", 10)), (Some(&b"2"[..]), None));
    store.write_until("b", b"3", at(20), at(10)).unwrap();
    assert_eq!(store.keys("", 10).unwrap(), ["b", "k"], "what has ended is deleted");
    store.write(&[put("b", "4")]).unwrap();
    assert_eq!(read("b", 1_000).as_deref(), Some(&b"4"[..]), "published over it");
}

#[test]
fn concurrent_swaps_lose_no_change() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r.db");
    RecordStore::create(&path).unwrap();
    let writers = [b'a', b'b'].map(|name| {
        let store = RecordStore::open(&path).unwrap();
        std::thread::spawn(move || {
            let mut swapped = 0;
            while swapped < 100 {
                let before = store.read("g:k").unwrap();
                let value = [before.as_deref().unwrap_or_default(), &[name]].concat();
                swapped += usize::from(store.swap("g:k", before.as_deref(), &value).unwrap());
            }
        })
    });
    writers.into_iter().for_each(|writer| writer.join().unwrap());
    let value = RecordStore::open(&path).unwrap().read("g:k").unwrap().unwrap();
    let of = |name| value.iter().filter(|byte| **byte == name).count();
    assert_eq!((of(b'a'), of(b'b')), (100, 100), "none is lost");
}

#[test]
fn purges_of_two_processes_are_all_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r.db");
    RecordStore::create(&path).unwrap();
    let purge = |n: u64| Purge { resource: CacheKey::parse(&format!("{n:064x}")), at: Timestamp::from_millis(n) };
    let writers = [0, 1].map(|process| {
        let store = RecordStore::open(&path).unwrap();
        std::thread::spawn(move || {
            // Each has only its own purges, like a process with separate counters.
            let mut own = Purges::default();
            for n in 0..100 {
                own.add(purge(process * 100 + n));
                store.write_joined("g:purges", &encode(&own)).unwrap();
            }
        })
    });
    writers.into_iter().for_each(|writer| writer.join().unwrap());
    let kept = RecordStore::open(&path).unwrap().read("g:purges").unwrap().unwrap();
    let kept: Purges = decode(&kept).unwrap();
    assert_eq!(kept.as_slice().len(), 200);
}

#[test]
fn records_with_an_expiry_are_bounded_by_kind_and_those_that_expire_first_are_removed() {
    let store = RecordStore::in_memory().unwrap();
    store.write(&[put("g:audit:purge.new:0", "1")]).unwrap();
    let at = Timestamp::from_millis;
    let others = ["g:audit:key.new:1", "g:audit:key.revoke:1", "g:fetched:1", "h:audit:purge.new:1"];
    for key in others {
        store.write_until(key, b"1", at(1), Timestamp::EPOCH).unwrap();
    }
    let fill = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT ?1)
        INSERT INTO record SELECT 'g:audit:purge.new:' || printf('%08x', i), x'00', (i + 1) * 1000 FROM n";
    store.writer.lock().unwrap().execute(fill, [EXPIRING_MAX]).unwrap();
    let after_all = at(u64::try_from(EXPIRING_MAX + 2).unwrap());
    store.write_until("g:audit:purge.new:ffffffff", b"2", after_all, Timestamp::EPOCH).unwrap();
    let has = |key: &str| read_one(&store.writer.lock().unwrap(), key, Timestamp::EPOCH).unwrap().is_some();
    let purges = ["00000001", "00000002", "ffffffff", "0"].map(|name| has(&format!("g:audit:purge.new:{name}")));
    assert_eq!(purges, [false, true, true, true], "the last one has no end");
    assert!(others.into_iter().all(has));
    assert_eq!(store.keys("", 20_000).unwrap().len(), 10_000 + 1 + others.len());
}

#[test]
fn a_failed_batch_changes_nothing() {
    let store = RecordStore::in_memory().unwrap();
    store
        .writer
        .lock()
        .unwrap()
        .execute_batch(
            "CREATE TRIGGER t BEFORE INSERT ON record WHEN NEW.key = 'bad' BEGIN SELECT RAISE(ABORT, 'no'); END;",
        )
        .unwrap();
    assert!(store.write(&[put("good", "1"), put("bad", "2")]).is_err());
    assert_eq!(store.read("good").unwrap(), None);
}

#[test]
fn a_store_with_a_fault_is_unavailable() {
    let store = RecordStore::in_memory().unwrap();
    let faults = Faults::default();
    let reader = store.reader(faults.clone()).unwrap();
    faults.set(FaultyStore::Records, true);
    let waiting = std::pin::pin!(reader.read("k"));
    let answer = waiting.poll(&mut std::task::Context::from_waker(std::task::Waker::noop()));
    assert!(matches!(answer, std::task::Poll::Ready(Err(_))));
}

#[track_caller]
fn check_refused(content: &[u8], expected: &str) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("records.db");
    std::fs::write(&path, content).unwrap();
    let error = RecordStore::open(&path).unwrap_err().to_string();
    assert!(error.contains(expected) && error.contains("records.db"), "{error}");
}

#[test]
fn a_file_that_is_not_a_store_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let missing = RecordStore::open(&folder.path().join("none.db")).unwrap_err();
    assert!(missing.to_string().contains("there is no store at"));
    check_refused(b"this is a text file, and long enough to be looked at as one", "not an SQLite database");
    check_refused(b"", "another kind");
}

#[test]
fn a_damaged_store_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("records.db");
    let store = RecordStore::create(&path).unwrap();
    let value = "x".repeat(3000);
    let keys: Vec<String> = (0..200).map(|n| format!("key-{n}")).collect();
    let changes: Vec<_> = keys.iter().map(|k| put(k, &value)).collect();
    store.write(&changes).unwrap();
    drop(store);
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 8192].fill(0xa5);
    std::fs::write(&path, bytes).unwrap();
    let error = RecordStore::open(&path).unwrap_err();
    assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
}
