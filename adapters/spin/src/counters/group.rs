//! Updates of one instance that wait for the same bucket, applied together.
//!
//! An attempt fails if another instance has written meanwhile. If each request of an instance then tried again for
//! itself, they would compete with each other too, and each attempt costs a commit. So the first one leads a group: its
//! attempts apply the updates of all that have joined. Every member waits on a timer of its own, because a task of a
//! component cannot wake another.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use tollgate_core::cell::{CellError, Outcome, StateChange, Table, Update};
use tollgate_core::time::Timestamp;
use tollgate_edge::ports::CounterFault;

use super::attempt::Changed;
use super::{CELLS_MAX, Place};

/// The groups of one instance, by bucket.
#[derive(Default)]
pub(super) struct Groups(RefCell<HashMap<Place, Vec<Rc<Member>>>>);

/// An update of a group.
pub(super) struct Member {
    pub(super) update: Update,
    answer: RefCell<Option<Result<Outcome, CounterFault>>>,
}

/// The right to make a group's attempts; dropping it ends the group, and a member without an answer can lead.
pub(super) struct Lead<'g> {
    groups: &'g Groups,
    place: Place,
}

impl Groups {
    /// Whether a bucket has a group.
    pub(super) fn exists(&self, place: Place) -> bool {
        self.0.borrow().contains_key(&place)
    }

    /// Joins the group of a bucket, or leads a new one.
    pub(super) fn join(&self, place: Place, member: &Rc<Member>) -> Option<Lead<'_>> {
        let mut groups = self.0.borrow_mut();
        let leads = !groups.contains_key(&place);
        let members = groups.entry(place).or_default();
        if !members.iter().any(|other| Rc::ptr_eq(other, member)) {
            members.push(Rc::clone(member));
        }
        leads.then(|| Lead { groups: self, place })
    }
}

impl Member {
    pub(super) fn new(update: &Update) -> Rc<Self> {
        Rc::new(Self { update: update.clone(), answer: RefCell::default() })
    }

    /// The answer, once there is one.
    pub(super) fn answer(&self) -> Option<Result<Outcome, CounterFault>> {
        self.answer.borrow_mut().take()
    }

    pub(super) fn has_no_answer(&self) -> bool {
        self.answer.borrow().is_none()
    }

    pub(super) fn set_answer(&self, answer: Result<Outcome, CounterFault>) {
        *self.answer.borrow_mut() = Some(answer);
    }
}

impl Lead<'_> {
    /// The members that somebody still waits for.
    pub(super) fn members(&self) -> Vec<Rc<Member>> {
        let mut groups = self.groups.0.borrow_mut();
        let members = groups.entry(self.place).or_default();
        members.retain(|member| Rc::strong_count(member) > 1);
        members.clone()
    }
}

impl Drop for Lead<'_> {
    fn drop(&mut self) {
        self.groups.0.borrow_mut().remove(&self.place);
    }
}

/// The answer to each update.
pub(super) type Answers = Vec<Result<Outcome, CellError>>;

/// Applies the updates one after the other; one that cannot be applied does not affect the others.
pub(super) fn apply<'u>(
    table: Option<&[u8]>,
    updates: impl Iterator<Item = &'u Update>,
    now: Timestamp,
) -> Changed<Answers> {
    let mut changed: Option<Vec<u8>> = None;
    let answers = updates.map(|update| {
        let applied = Table::apply(changed.as_deref().or(table), update, now, CELLS_MAX)?;
        if let StateChange::Replace(table) = applied.state {
            changed = Some(table);
        }
        Ok(applied.outcome)
    });
    let answers = answers.collect();
    Ok((answers, changed))
}

#[cfg(test)]
mod tests {
    use tollgate_core::cell::OperationId;

    use super::*;

    fn member() -> Rc<Member> {
        let terms = tollgate_core::cell::Terms { id: OperationId::new([1; 16]), hold_ms: None, refund_ms: None };
        Member::new(&Update { terms, cells: Vec::new() })
    }

    const SEVEN: Place = Place::Chosen(7);

    #[test]
    fn the_first_leads_until_it_ends_and_then_another_member_does() {
        let (groups, one, two) = (Groups::default(), member(), member());
        let lead = groups.join(SEVEN, &one).unwrap();
        assert!(groups.exists(SEVEN) && !groups.exists(Place::OfGateway(7)));
        assert!(groups.join(SEVEN, &two).is_none());
        assert!(groups.join(SEVEN, &two).is_none(), "it joins once");
        assert_eq!(lead.members().len(), 2);
        drop(lead);
        assert!(!groups.exists(SEVEN));
        assert_eq!(groups.join(SEVEN, &two).unwrap().members().len(), 1);
    }

    #[test]
    fn a_member_that_nobody_waits_for_is_left_out() {
        let (groups, one, two) = (Groups::default(), member(), member());
        let lead = groups.join(SEVEN, &one).unwrap();
        groups.join(SEVEN, &two);
        drop(two);
        assert_eq!(lead.members().len(), 1);
    }
}
