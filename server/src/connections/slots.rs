//! How many connections may be open, and which of them are closed for others.
//!
//! A connection waits while its client owes something: the header of a request, or its body if nobody is signed in.
//! Waiting connections are cheap to open for a stranger, so they are never a reason to refuse others: the one that has
//! waited longest is closed.

use std::{
    collections::{BTreeMap, HashMap},
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio_util::sync::CancellationToken;

/// The most connections in all, if the system allows as many files.
const MOST: usize = 10_000;
/// The most connections that wait.
const MOST_WAITING: usize = 1_000;

/// The slots of a server's connections.
#[derive(Clone)]
pub struct Slots {
    table: Arc<Mutex<Table>>,
    most: usize,
}

pub enum Admission {
    Slot(Slot),
    /// Every connection of the peer, or of all, has a request under way.
    Full,
}

/// A connection's slot; free again when dropped.
pub struct Slot {
    table: Arc<Mutex<Table>>,
    id: u64,
    closed: CancellationToken,
}

#[derive(Default)]
struct Table {
    open: HashMap<u64, Open>,
    /// Connections per peer.
    peers: HashMap<IpAddr, usize>,
    /// The connections that wait, in the order in which they began to.
    waiting: BTreeMap<u64, u64>,
    last: u64,
}

struct Open {
    peer: IpAddr,
    /// Its key in `waiting`.
    waiting: Option<u64>,
    closed: CancellationToken,
}

impl Slots {
    /// `files` is the number of connections for which there are file handles.
    pub fn new(files: usize) -> Self {
        Self { table: Arc::default(), most: files.min(MOST) }
    }

    /// A slot for a new connection, which waits for its first request. One peer has at most half of all.
    pub fn admit(&self, address: IpAddr) -> Admission {
        let peer = network(address);
        let mut table = lock(&self.table);
        let of_peer = table.peers.get(&peer).copied().unwrap_or(0);
        if of_peer >= self.most.div_ceil(2) {
            if !table.close_longest_waiting(|open| open.peer == peer) {
                return Admission::Full;
            }
        } else if table.open.len() >= self.most {
            if !table.close_longest_waiting(|_| true) {
                return Admission::Full;
            }
        } else if table.waiting.len() >= MOST_WAITING {
            table.close_longest_waiting(|_| true);
        }
        let (id, closed) = (table.next(), CancellationToken::new());
        *table.peers.entry(peer).or_default() += 1;
        table.open.insert(id, Open { peer, waiting: None, closed: closed.clone() });
        table.mark_waiting(id);
        Admission::Slot(Slot { table: self.table.clone(), id, closed })
    }

    pub fn close_longest_waiting(&self) {
        lock(&self.table).close_longest_waiting(|_| true);
    }

    pub fn close_all_waiting(&self) {
        let mut table = lock(&self.table);
        while table.close_longest_waiting(|_| true) {}
    }
}

impl Slot {
    /// The server owes the client a response.
    pub fn mark_busy(&self) {
        lock(&self.table).mark_busy(self.id);
    }

    /// The client owes the server a request, or more of it, from now on.
    pub fn mark_waiting(&self) {
        lock(&self.table).mark_waiting(self.id);
    }

    /// Ends when the connection must be closed in favour of others.
    pub async fn closed(&self) {
        self.closed.cancelled().await;
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        lock(&self.table).remove(self.id);
    }
}

impl Table {
    fn next(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    fn mark_busy(&mut self, id: u64) {
        if let Some(key) = self.open.get_mut(&id).and_then(|open| open.waiting.take()) {
            self.waiting.remove(&key);
        }
    }

    fn mark_waiting(&mut self, id: u64) {
        self.mark_busy(id);
        let key = self.next();
        if let Some(open) = self.open.get_mut(&id) {
            open.waiting = Some(key);
            self.waiting.insert(key, id);
        }
    }

    fn remove(&mut self, id: u64) {
        self.mark_busy(id);
        let Some(open) = self.open.remove(&id) else { return };
        if let Some(count) = self.peers.get_mut(&open.peer) {
            *count -= 1;
            if *count == 0 {
                self.peers.remove(&open.peer);
            }
        }
    }

    /// Whether there was one to close. Its slot is free at once; its task ends soon.
    fn close_longest_waiting(&mut self, which: impl Fn(&Open) -> bool) -> bool {
        let found = self.waiting.values().copied().find(|id| self.open.get(id).is_some_and(&which));
        let Some(id) = found else { return false };
        if let Some(open) = self.open.get(&id) {
            open.closed.cancel();
        }
        self.remove(id);
        true
    }
}

/// The network of an address that counts as one peer: an IPv6 /64, because its owner has 2^64 addresses.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
        address @ IpAddr::V4(_) => address,
    }
}

fn lock(table: &Mutex<Table>) -> MutexGuard<'_, Table> {
    table.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(number: u8) -> IpAddr {
        [192, 0, 2, number].into()
    }

    fn admitted(slots: &Slots, address: IpAddr) -> Option<Slot> {
        match slots.admit(address) {
            Admission::Slot(slot) => Some(slot),
            Admission::Full => None,
        }
    }

    #[test]
    fn one_peer_has_half_of_the_slots_and_its_own_longest_waiting_one_is_closed() {
        let slots = Slots::new(8);
        let other = admitted(&slots, peer(2)).unwrap();
        let mut own: Vec<_> = (0..4).filter_map(|_| admitted(&slots, peer(1))).collect();
        own[0].mark_busy();
        own.push(admitted(&slots, peer(1)).unwrap());
        assert!(own[1].closed.is_cancelled() && !other.closed.is_cancelled());
        for slot in &own {
            slot.mark_busy();
        }
        assert!(admitted(&slots, peer(1)).is_none(), "all four have a request under way");
        assert!(admitted(&slots, peer(2)).is_some());
        own[4].mark_waiting();
        assert!(admitted(&slots, peer(1)).is_some());
        assert!(own[4].closed.is_cancelled());
    }

    #[test]
    fn when_all_slots_are_taken_the_longest_waiting_one_is_closed_else_nobody_is_admitted() {
        let slots = Slots::new(4);
        let taken: Vec<_> = (1..5).filter_map(|number| admitted(&slots, peer(number))).collect();
        taken[0].mark_waiting();
        let next = admitted(&slots, peer(5)).unwrap();
        assert!(taken[1].closed.is_cancelled() && !taken[0].closed.is_cancelled());
        for slot in taken.iter().chain([&next]) {
            slot.mark_busy();
        }
        assert!(admitted(&slots, peer(6)).is_none());
        drop(taken);
        assert!(admitted(&slots, peer(6)).is_some());
        drop(next);
        let table = lock(&slots.table);
        assert!(table.open.is_empty() && table.peers.is_empty() && table.waiting.is_empty());
    }

    #[test]
    fn a_thousand_wait_and_not_more() {
        let slots = Slots::new(MOST);
        let waiting: Vec<_> = (0..MOST_WAITING + 5).filter_map(|_| admitted(&slots, peer(1))).collect();
        assert_eq!(waiting.iter().filter(|slot| slot.closed.is_cancelled()).count(), 5);
        assert_eq!(lock(&slots.table).waiting.len(), MOST_WAITING);
    }

    #[test]
    fn a_network_of_one_person_is_one_peer() {
        let network = |text: &str| network(text.parse().unwrap());
        assert_eq!(network("2001:db8:1:2::1"), network("2001:db8:1:2:ffff::1"));
        assert_ne!(network("2001:db8:1:2::1"), network("2001:db8:1:3::1"));
        assert_eq!(network("::ffff:192.0.2.1"), network("192.0.2.1"));
    }
}
