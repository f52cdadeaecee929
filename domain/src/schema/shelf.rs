//! Where compiled patterns are kept between uses.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use super::judge::Judge;
use super::patterns::PatternBudget;

/// The most that is kept, in bytes.
const MAX_KEPT: usize = 64 * 1024 * 1024;

/// A cache of compiled schemas with patterns, at most 64 MB of them. The least recently used goes first, and is compiled
/// again when it is needed. A schema of more than half of that is not kept, as it would push out nearly all others.
#[derive(Debug)]
pub struct Shelf {
    most: usize,
    kept: Mutex<Kept>,
    /// See [`PatternBudget`].
    compiling: Mutex<()>,
}

impl Default for Shelf {
    fn default() -> Self {
        Self::holding(MAX_KEPT)
    }
}

#[derive(Debug, Default)]
struct Kept {
    /// The most recently used is the last.
    judges: VecDeque<Arc<Judge>>,
    bytes: usize,
}

impl Shelf {
    pub(super) fn holding(most: usize) -> Self {
        Self { most, kept: Mutex::default(), compiling: Mutex::default() }
    }

    /// The budget for the patterns of one document. All budgets of a shelf compile one at a time.
    pub(crate) fn pattern_budget(&self) -> PatternBudget<'_> {
        PatternBudget::new(&self.compiling)
    }

    pub(super) fn keep(&self, judge: &Arc<Judge>) {
        if judge.bytes() > self.most / 2 {
            return;
        }
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.bytes += judge.bytes();
        kept.judges.push_back(judge.clone());
        while kept.bytes > self.most
            && let Some(oldest) = kept.judges.pop_front()
        {
            kept.bytes -= oldest.bytes();
        }
    }

    /// Marks a compiled schema as the most recently used one, if it is kept.
    pub(super) fn touch(&self, judge: &Arc<Judge>) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(index) = kept.judges.iter().rposition(|kept| Arc::ptr_eq(kept, judge))
            && let Some(judge) = kept.judges.remove(index)
        {
            kept.judges.push_back(judge);
        }
    }

    /// What is kept just now, in bytes.
    pub fn bytes(&self) -> usize {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).bytes
    }
}
