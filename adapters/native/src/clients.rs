//! The requests of each client that are handled at once.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::IpAddr;
use std::rc::Rc;

use tollgate_core::client::ClientNetwork;

/// How many requests each client has in an isolate; clones are the same count.
#[derive(Clone, Debug)]
pub(crate) struct Clients(Rc<Counts>);

#[derive(Debug)]
struct Counts {
    busy: RefCell<HashMap<Option<ClientNetwork>, usize>>,
    most: usize,
}

/// The place of one request, until it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    client: Option<ClientNetwork>,
    counts: Rc<Counts>,
}

impl Clients {
    /// At most so many requests for each.
    pub(crate) fn new(most: usize) -> Self {
        Self(Rc::new(Counts { busy: RefCell::default(), most }))
    }

    /// A place for a request of this client; `None` if all of its places are taken.
    pub(crate) fn place(&self, address: Option<IpAddr>) -> Option<Place> {
        let client = address.map(ClientNetwork::of);
        let mut busy = self.0.busy.borrow_mut();
        let count = busy.entry(client).or_default();
        if *count >= self.0.most {
            return None;
        }
        *count += 1;
        Some(Place { client, counts: Rc::clone(&self.0) })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut busy = self.counts.busy.borrow_mut();
        if let Some(count) = busy.get_mut(&self.client) {
            *count -= 1;
            if *count == 0 {
                busy.remove(&self.client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_has_its_places_until_they_are_dropped() {
        let clients = Clients::new(2);
        let address = |text: &str| Some(text.parse().unwrap());
        let held = [clients.place(address("192.0.2.1")), clients.place(address("192.0.2.1"))];
        assert!(held.iter().all(Option::is_some) && clients.place(address("192.0.2.1")).is_none());
        assert!(clients.place(address("192.0.2.2")).is_some() && clients.place(None).is_some());
        drop(held);
        assert!(clients.0.busy.borrow().is_empty());
        assert!(clients.place(address("192.0.2.1")).is_some());
    }
}
