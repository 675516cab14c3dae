//! The exchanges that a server handles at once, all isolates together.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Places for exchanges; clones are the same places.
#[derive(Clone, Debug)]
pub(crate) struct ExchangePlaces {
    taken: Arc<AtomicUsize>,
    most: usize,
}

/// The place of one exchange, until it is dropped.
#[derive(Debug)]
pub(crate) struct ExchangePlace(Arc<AtomicUsize>);

impl ExchangePlaces {
    pub(crate) fn new(most: usize) -> Self {
        Self { taken: Arc::default(), most }
    }

    /// A place, if one is free.
    pub(crate) fn take(&self) -> Option<ExchangePlace> {
        let before = self.taken.fetch_add(1, Ordering::Relaxed);
        let place = ExchangePlace(Arc::clone(&self.taken));
        (before < self.most).then_some(place)
    }
}

impl Drop for ExchangePlace {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_as_many_places_as_said_whoever_takes_them() {
        let places = ExchangePlaces::new(2);
        let others = places.clone();
        let held = [places.take(), others.take()];
        assert!(held.iter().all(Option::is_some) && places.take().is_none() && others.take().is_none());
        drop(held);
        assert!(others.take().is_some());
        assert_eq!(places.taken.load(Ordering::Relaxed), 0);
    }
}
