//! The requests of each client that are handled at once.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tollgate_core::client::ClientNetwork;

/// How many requests each client has in a server.
///
/// An isolate asks for the count of a client once, and keeps it: a request locks nothing.
#[derive(Debug)]
pub(crate) struct ClientCounts {
    counts: Mutex<Known>,
    most: usize,
}

/// The counts that one isolate knows.
#[derive(Debug)]
pub(crate) struct Clients {
    counts: Arc<ClientCounts>,
    known: RefCell<Known>,
}

/// The place of one request, until it is dropped.
#[derive(Debug)]
pub(crate) struct Place(Arc<AtomicUsize>);

/// Counts by client, of which those that are not used are dropped at times.
#[derive(Debug)]
struct Known {
    counts: HashMap<Option<ClientNetwork>, Arc<AtomicUsize>>,
    /// When there are so many, unused ones are dropped.
    most: usize,
}

impl ClientCounts {
    /// At most so many requests for each.
    pub(crate) fn new(most: usize) -> Self {
        Self { counts: Mutex::default(), most }
    }

    fn of(&self, client: Option<ClientNetwork>) -> Arc<AtomicUsize> {
        let mut known = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        // A count that only this table refers to is 0, and nobody can begin to use it meanwhile.
        known.make_room(|count| Arc::strong_count(count) > 1);
        Arc::clone(known.counts.entry(client).or_default())
    }
}

impl Clients {
    /// The clients of one isolate.
    pub(crate) fn of(counts: Arc<ClientCounts>) -> Self {
        Self { counts, known: RefCell::default() }
    }

    /// A place for a request of this client; `None` if all of its places are taken.
    pub(crate) fn place(&self, address: Option<IpAddr>) -> Option<Place> {
        let client = address.map(ClientNetwork::of);
        let mut known = self.known.borrow_mut();
        let count = match known.counts.get(&client) {
            Some(count) => count,
            None => {
                known.make_room(|count| count.load(Ordering::Relaxed) > 0);
                known.counts.entry(client).or_insert(self.counts.of(client))
            }
        };
        let before = count.fetch_add(1, Ordering::Relaxed);
        let place = Place(Arc::clone(count));
        (before < self.counts.most).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Default for Known {
    fn default() -> Self {
        Self { counts: HashMap::new(), most: UNUSED_MAX }
    }
}

impl Known {
    fn make_room(&mut self, is_used: impl Fn(&Arc<AtomicUsize>) -> bool) {
        if self.counts.len() >= self.most {
            self.counts.retain(|_, count| is_used(count));
            self.most = UNUSED_MAX.max(2 * self.counts.len());
        }
    }
}

/// Counts that are kept although no request needs them.
const UNUSED_MAX: usize = 1_024;

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn a_client_has_its_places_until_they_are_dropped_whatever_isolate_it_uses() {
        let counts = Arc::new(ClientCounts::new(2));
        let (one, other) = (Clients::of(Arc::clone(&counts)), Clients::of(counts));
        let held = [one.place(address("192.0.2.1")), other.place(address("192.0.2.1"))];
        assert!(held.iter().all(Option::is_some));
        assert!(one.place(address("192.0.2.1")).is_none() && other.place(address("192.0.2.1")).is_none());
        assert!(other.place(address("192.0.2.2")).is_some() && one.place(None).is_some());
        drop(held);
        assert!(one.place(address("192.0.2.1")).is_some());
    }

    #[test]
    fn clients_that_are_gone_are_forgotten_and_those_in_use_are_not() {
        let counts = Arc::new(ClientCounts::new(1));
        let clients = Clients::of(Arc::clone(&counts));
        let held = clients.place(address("192.0.2.1"));
        for number in 0..5 * UNUSED_MAX as u32 {
            let gone = IpAddr::from(std::net::Ipv4Addr::from_bits(0x0a00_0000 + number));
            assert!(clients.place(Some(gone)).is_some());
        }
        assert!(clients.known.borrow().counts.len() <= UNUSED_MAX);
        assert!(counts.counts.lock().unwrap().counts.len() <= 2 * UNUSED_MAX);
        assert!(held.is_some() && clients.place(address("192.0.2.1")).is_none());
        assert!(Clients::of(counts).place(address("192.0.2.1")).is_none());
    }
}
