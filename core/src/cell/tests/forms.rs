use proptest::prelude::*;
use wasm_bindgen_test::wasm_bindgen_test;

use super::*;

fn charge() -> Operation {
    Operation::Charge(gcra("p", 1, 60_000, 3, 1))
}

#[wasm_bindgen_test(unsupported = test)]
fn a_state_is_decoded_from_its_encoding() {
    let mut subject = Subject::default();
    subject.charge(&[gcra("p", 1, 1_000, 5, 2), gcra("q", 7, 1_000, 5, 2)], NOW);
    subject.apply(held_of(1, 500), &[charge()], NOW);
    subject.apply(held_of(2, 500), &[charge()], NOW.plus_millis(7));
    subject.apply(final_of(3), &[Operation::Release], NOW);
    assert_eq!(Cell::from_bytes(&subject.cell.to_bytes()), Ok(subject.cell));
}

#[wasm_bindgen_test(unsupported = test)]
fn a_newer_state_is_refused_and_unchanged() {
    let mut bytes = Cell::default().to_bytes();
    bytes[0] = Cell::VERSION + 1;
    let newer = CellError::NewerVersion { found: Cell::VERSION + 1, known: Cell::VERSION };
    assert_eq!(apply(Some(&bytes), final_of(1), &[charge()], NOW), Err(newer));
    let served = serve(&mut Cell::from_bytes(&bytes), &write_request(final_of(1), &[charge()]), NOW);
    assert_eq!((read_answer(&served.answer), served.committed.changed), (Err(newer), false));
    assert_eq!(idle_at(&bytes), None);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_damaged_state_is_not_treated_as_empty() {
    let good = Cell::default().to_bytes();
    for bytes in [&b""[..], b"\0", b"\x01", b"\x01{}", &good[..good.len() - 1], &[good.as_slice(), b"\0"].concat()] {
        assert_eq!(apply(Some(bytes), final_of(1), &[charge()], NOW), Err(CellError::Damaged), "{bytes:?}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_remote_owner_answers_like_the_cell() {
    let request = write_request(final_of(1), &[charge()]);
    let mut cell = Ok(Cell::default());
    let served = serve(&mut cell, &request, NOW);
    let applied = apply(None, final_of(1), &[charge()], NOW).unwrap();
    assert_eq!(read_answer(&served.answer), Ok(applied.outcome));
    assert!(served.committed.changed);
    let state = cell.as_ref().unwrap().to_bytes();
    assert_eq!(applied.state, StateChange::Replace(state.clone()));
    assert_eq!(idle_at(&state), Some(NOW.plus_millis(60_000)));
    assert!(!serve(&mut cell, &request, NOW).committed.changed, "a repetition changes nothing");
}

#[wasm_bindgen_test(unsupported = test)]
fn a_request_or_an_answer_of_another_version_is_reported() {
    let mut request = write_request(final_of(1), &[charge()]);
    request[0] += 1;
    let served = serve(&mut Ok(Cell::default()), &request, NOW);
    assert_eq!(read_answer(&served.answer), Err(CellError::UnknownRequest));
    assert_eq!(read_answer(b"\x02"), Err(CellError::UnknownRequest));
    assert_eq!(read_answer(b""), Err(CellError::UnknownRequest));
}

/// The forms before members were added: edges and owners are deployed at different times.
#[wasm_bindgen_test(unsupported = test)]
fn what_no_new_member_is_in_has_the_form_that_it_always_had() {
    let bytes = |operation: &Operation| minicbor::to_vec(operation).unwrap();
    let read = |bytes: &[u8]| crate::codec::decode::<Operation>(bytes).unwrap();
    assert_eq!(bytes(&Operation::ReadPurges { recorded: None }), [0x81, 4]);
    assert_eq!(read(&[0x81, 4]), Operation::ReadPurges { recorded: None });
    assert_eq!(read(&bytes(&Operation::ReadPurges { recorded: Some(7) })), Operation::ReadPurges { recorded: Some(7) });
    let empty = Reply::Purges { sequence: 0, purges: Default::default(), recorded: None };
    assert_eq!(minicbor::to_vec(&empty).unwrap(), [0x83, 5, 0, 0x80]);
}

proptest! {
    #[test]
    fn no_bytes_make_a_cell_or_a_request_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Some(first) = bytes.first_mut() { *first &= 1; }
        let _ = apply(Some(&bytes), final_of(1), &[charge(), Operation::Release], NOW);
        let _ = serve(&mut Cell::from_bytes(&bytes), &bytes, NOW);
        let _ = serve(&mut Ok(Cell::default()), &bytes, NOW);
        let _ = read_answer(&bytes);
    }

    #[test]
    fn no_damage_makes_a_cell_panic(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut subject = Subject::default();
        subject.charge(&[gcra("p", 1, 1_000, 5, 2)], NOW);
        subject.apply(held_of(1, 500), &[charge()], NOW);
        let mut bytes = subject.cell.to_bytes();
        let place = at.index(bytes.len());
        bytes[place] = byte;
        for operation in [charge(), Operation::Confirm, Operation::Release] {
            let _ = apply(Some(&bytes), final_of(1), &[operation], NOW.plus_millis(600));
        }
    }
}
