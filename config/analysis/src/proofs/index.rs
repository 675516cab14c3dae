//! An index of templates by their segments, which finds those that share paths with a template.

use std::collections::BTreeMap;

use tollgate_core::route::Segment;

use super::budget::{Budget, Spent};
use super::segment::{is_same, shared_text};

/// Templates by their first segments.
#[derive(Debug, Default)]
pub(super) struct Index<'t> {
    literals: BTreeMap<&'t str, Self>,
    parameters: Vec<(&'t Segment, Self)>,
    /// The templates that end here, and those whose rest begins here.
    ends: Vec<usize>,
    rests: Vec<usize>,
}

impl<'t> Index<'t> {
    pub(super) fn add(&mut self, segments: &'t [Segment], place: usize) {
        let Some((first, rest)) = segments.split_first() else { return self.ends.push(place) };
        match first {
            Segment::Literal(text) => self.literals.entry(text).or_default().add(rest, place),
            Segment::Rest { .. } => self.rests.push(place),
            Segment::Parameter { .. } => {
                let known = self.parameters.iter().position(|(known, _)| is_same(known, first));
                let at = known.unwrap_or_else(|| {
                    self.parameters.push((first, Self::default()));
                    self.parameters.len() - 1
                });
                self.parameters[at].1.add(rest, place);
            }
        }
    }

    /// Adds the places of the templates that match a path of this one.
    pub(super) fn meeting(&self, segments: &[Segment], budget: &Budget, found: &mut Vec<usize>) -> Result<(), Spent> {
        budget.spend(1)?;
        let Some((first, rest)) = segments.split_first() else {
            found.extend(&self.ends);
            return Ok(());
        };
        found.extend(&self.rests);
        match first {
            Segment::Rest { .. } => return self.all(budget, found),
            Segment::Literal(text) => {
                self.literals.get(text.as_str()).map_or(Ok(()), |next| next.meeting(rest, budget, found))?;
            }
            Segment::Parameter { .. } => {
                budget.spend(self.literals.len())?;
                for (_, next) in self.literals.iter().filter(|(text, _)| first.value_of(text).is_some()) {
                    next.meeting(rest, budget, found)?;
                }
            }
        }
        budget.spend(self.parameters.len())?;
        for (_, next) in self.parameters.iter().filter(|(other, _)| shared_text(first, other).is_some()) {
            next.meeting(rest, budget, found)?;
        }
        Ok(())
    }

    /// Adds the places of all templates below, except those that end here.
    fn all(&self, budget: &Budget, found: &mut Vec<usize>) -> Result<(), Spent> {
        for next in self.literals.values().chain(self.parameters.iter().map(|(_, next)| next)) {
            budget.spend(1)?;
            found.extend(next.ends.iter().chain(&next.rests));
            next.all(budget, found)?;
        }
        Ok(())
    }
}
