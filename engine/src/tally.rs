//! Counts of what is under way per key, with a limit.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, PoisonError},
};

/// How many [`Entry`]s of each key exist. Keys without entries take no memory.
pub(crate) struct Tally<K>(Arc<Mutex<HashMap<K, usize>>>);

impl<K> Clone for Tally<K> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<K> Default for Tally<K> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<K: Eq + Hash + Clone> Tally<K> {
    /// Counts one more, until the entry is dropped. `None` if there are `most` already.
    pub fn enter(&self, key: K, most: usize) -> Option<Entry<K>> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(key.clone()).or_default();
        if *count >= most {
            return None;
        }
        *count += 1;
        Some(Entry { key, tally: self.clone() })
    }
}

pub(crate) struct Entry<K: Eq + Hash + Clone> {
    key: K,
    tally: Tally<K>,
}

impl<K: Eq + Hash + Clone> Drop for Entry<K> {
    fn drop(&mut self) {
        let mut counts = self.tally.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_ended_counts_no_more() {
        let tally = Tally::default();
        let entries: Vec<_> = (0..3).filter_map(|_| tally.enter("a", 2)).collect();
        assert_eq!(entries.len(), 2);
        assert!(tally.enter("b", 2).is_some());
        drop(entries);
        assert!(tally.0.lock().unwrap().is_empty());
    }
}
