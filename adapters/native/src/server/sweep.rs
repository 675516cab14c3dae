//! What an isolate does at intervals for all of its connections and responses, instead of a timer for each.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use super::activity::Activity;
use super::delivering::Delivering;

/// The connections of an isolate, and the responses that are being sent.
#[derive(Debug, Default)]
pub(super) struct Sweep {
    pub(super) connections: Bag<Activity>,
    pub(super) deliveries: Bag<Delivering>,
}

/// Items that are removed in constant time.
#[derive(Debug)]
pub(super) struct Bag<T>(RefCell<Vec<Rc<T>>>);

/// An item of one [`Bag`], which keeps its place in it.
pub(super) trait Placed {
    fn place(&self) -> &Cell<usize>;
}

impl Sweep {
    /// Ends what has taken too long, at intervals; `unread` is how long a client may take nothing of a response.
    pub(super) async fn run(&self, unread: Duration) {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let now = ticks.tick().await;
            self.deliveries.each(|delivering| delivering.check(now, unread));
            self.connections.each(|activity| activity.check(now));
        }
    }
}

impl<T> Default for Bag<T> {
    fn default() -> Self {
        Self(RefCell::default())
    }
}

impl<T: Placed> Bag<T> {
    pub(super) fn add(&self, item: Rc<T>) {
        let mut items = self.0.borrow_mut();
        item.place().set(items.len());
        items.push(item);
    }

    pub(super) fn remove(&self, item: &T) {
        let mut items = self.0.borrow_mut();
        let at = item.place().get();
        if items.get(at).is_some_and(|other| std::ptr::eq(&raw const **other, item)) {
            items.swap_remove(at);
            if let Some(moved) = items.get(at) {
                moved.place().set(at);
            }
        }
    }

    /// Calls this with every item; it may remove some.
    pub(super) fn each(&self, visit: impl Fn(&T)) {
        let items = self.0.borrow().clone();
        items.iter().for_each(|item| visit(item));
    }
}

/// How exact the sweep is; it needs some nanoseconds for each connection.
const TICK: Duration = Duration::from_millis(250);

#[cfg(test)]
mod tests {
    use super::*;

    struct Item(Cell<usize>);

    impl Placed for Item {
        fn place(&self) -> &Cell<usize> {
            &self.0
        }
    }

    #[test]
    fn each_item_is_removed_once_in_any_order() {
        let bag = Bag::default();
        let items: Vec<Rc<Item>> = (0..5).map(|_| Rc::new(Item(Cell::new(0)))).collect();
        items.iter().for_each(|item| bag.add(Rc::clone(item)));
        for (at, left) in [(1, 4), (4, 3), (1, 3), (0, 2)] {
            bag.remove(&items[at]);
            assert_eq!(bag.0.borrow().len(), left);
        }
        let seen = Cell::new(0);
        bag.each(|item| {
            seen.set(seen.get() + 1);
            bag.remove(item);
        });
        assert_eq!((seen.get(), bag.0.borrow().len()), (2, 0));
    }
}
