//! The open connections of an isolate, bounded in total and for each client; the least useful is closed for a new one.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use tokio::sync::Notify;
use tollgate_core::client::ClientNetwork;

use super::activity::{Activity, Use};

/// The open connections of an isolate.
#[derive(Debug)]
pub(super) struct Connections {
    open: RefCell<HashMap<u64, Rc<Activity>>>,
    clients: RefCell<HashMap<ClientNetwork, usize>>,
    /// Connections whose tasks have not ended; more than the open ones by those that are being closed.
    tasks: Cell<usize>,
    next: Cell<u64>,
    bounds: Bounds,
    changed: Notify,
}

/// The maximum number of connections.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) total: usize,
    pub(super) per_client: usize,
}

/// An open connection, until it is dropped.
#[derive(Debug)]
pub(super) struct Admitted {
    connections: Rc<Connections>,
    number: u64,
}

impl Connections {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self {
            open: RefCell::default(),
            clients: RefCell::default(),
            tasks: Cell::new(0),
            next: Cell::new(0),
            bounds,
            changed: Notify::new(),
        }
    }

    /// Returns when a connection can be admitted: there is room, or one that can be closed.
    pub(super) async fn room(&self) {
        while self.open.borrow().len() >= self.bounds.total && self.least_useful(|_| true).is_none() {
            let changed = self.changed.notified();
            // That a connection has become idle is not signalled.
            let _ = tokio::time::timeout(super::isolate::ACCEPT_PAUSE, changed).await;
        }
    }

    /// Admits a connection, and closes the least useful one if there are too many; `None` if all of its client have
    /// exchanges.
    pub(super) fn admit(self: &Rc<Self>, activity: &Rc<Activity>) -> Option<Admitted> {
        let client = activity.client;
        if self.clients.borrow().get(&client).is_some_and(|count| *count >= self.bounds.per_client) {
            let number = self.least_useful(|other| other.client == client)?;
            self.close(number);
        }
        if self.open.borrow().len() >= self.bounds.total
            && let Some(number) = self.least_useful(|_| true)
        {
            self.close(number);
        }
        let number = self.next.get();
        self.next.set(number + 1);
        self.tasks.set(self.tasks.get() + 1);
        self.open.borrow_mut().insert(number, Rc::clone(activity));
        *self.clients.borrow_mut().entry(client).or_default() += 1;
        Some(Admitted { connections: Rc::clone(self), number })
    }

    /// How many more connections there may be.
    pub(super) fn left(&self) -> usize {
        self.bounds.total.saturating_sub(self.open.borrow().len())
    }

    /// Returns when all connections have ended.
    pub(super) async fn ended(&self) {
        while self.tasks.get() > 0 {
            self.changed.notified().await;
        }
    }

    /// Ends all connections.
    pub(super) fn close_all(&self) {
        self.open.borrow().values().for_each(|activity| activity.close.give());
    }

    /// A connection without an exchange: the idle ones first, among them the one that waits longest.
    fn least_useful(&self, is_candidate: impl Fn(&Activity) -> bool) -> Option<u64> {
        let open = self.open.borrow();
        let candidates = open.iter().filter(|(_, activity)| is_candidate(activity));
        let uses = candidates.map(|(number, activity)| (activity.usefulness(), *number));
        uses.min().filter(|(usefulness, _)| *usefulness != Use::Busy).map(|(_, number)| number)
    }

    fn close(&self, number: u64) {
        if let Some(activity) = self.remove(number) {
            activity.close.give();
        }
    }

    fn remove(&self, number: u64) -> Option<Rc<Activity>> {
        let activity = self.open.borrow_mut().remove(&number)?;
        let mut clients = self.clients.borrow_mut();
        if let Some(count) = clients.get_mut(&activity.client) {
            *count -= 1;
            if *count == 0 {
                clients.remove(&activity.client);
            }
        }
        Some(activity)
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let connections = &self.connections;
        connections.remove(self.number);
        connections.tasks.set(connections.tasks.get() - 1);
        connections.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn connections(total: usize, per_client: usize) -> Rc<Connections> {
        Rc::new(Connections::new(Bounds { total, per_client }))
    }

    fn from(client: u8) -> Rc<Activity> {
        Rc::new(Activity::new(ClientNetwork::of([192, 0, 2, client].into()), Duration::ZERO, &Rc::default()))
    }

    #[test]
    fn the_connection_that_is_idle_longest_is_closed_for_a_new_one() {
        let connections = connections(3, 3);
        let activities = [from(1), from(2), from(3)];
        let _admitted = activities.each_ref().map(|activity| connections.admit(activity).unwrap());
        activities[0].heard();
        let _exchange = activities[1].begin(false);
        assert!(connections.admit(&from(4)).is_some());
        assert_eq!(activities.each_ref().map(|activity| activity.close.is_given()), [false, false, true]);
    }

    #[test]
    fn a_client_beyond_its_bound_loses_its_own_connections_only() {
        let connections = connections(100, 2);
        let (other, own) = (from(1), [from(2), from(2), from(2)]);
        let _other = connections.admit(&other).unwrap();
        let _own = own.each_ref().map(|activity| connections.admit(activity).unwrap());
        assert_eq!(own.each_ref().map(|activity| activity.close.is_given()), [true, false, false]);
        let _exchanges = [own[1].begin(false), own[2].begin(false)];
        assert!(connections.admit(&from(2)).is_none());
        assert!(connections.admit(&from(3)).is_some() && !other.close.is_given());
    }

    #[test]
    fn ended_connections_make_room() {
        let connections = connections(100, 1);
        for _ in 0..3 {
            let activity = from(1);
            let _exchange = activity.begin(false);
            assert!(connections.admit(&activity).is_some());
        }
        assert_eq!((connections.left(), connections.clients.borrow().len()), (100, 0));
    }
}
