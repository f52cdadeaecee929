//! Undo and redo over the document's text.

use domain::template::Template;

/// Maximum number of undo steps: each keeps the whole document.
const MOST: usize = 100;

/// A past state of the document.
#[derive(Clone, Debug, PartialEq)]
pub struct Moment {
    pub source: String,
    /// The parsed document; `None` if the text was invalid.
    pub document: Option<Template>,
    /// The chosen step.
    pub chosen: Option<usize>,
}

#[derive(Debug)]
pub struct History {
    now: Moment,
    past: Vec<Moment>,
    future: Vec<Moment>,
}

impl History {
    pub fn new(now: Moment) -> Self {
        Self { now, past: Vec::new(), future: Vec::new() }
    }

    /// Records a completed change. The same text again is not a change.
    pub fn record(&mut self, next: Moment) {
        if next.source == self.now.source {
            self.now = next;
            return;
        }
        if self.past.len() >= MOST {
            self.past.remove(0);
        }
        self.past.push(std::mem::replace(&mut self.now, next));
        self.future.clear();
    }

    pub fn undo(&mut self) -> Option<Moment> {
        let before = self.past.pop()?;
        self.future.push(std::mem::replace(&mut self.now, before));
        Some(self.now.clone())
    }

    pub fn redo(&mut self) -> Option<Moment> {
        let after = self.future.pop()?;
        self.past.push(std::mem::replace(&mut self.now, after));
        Some(self.now.clone())
    }

    /// The last completed state.
    pub fn now(&self) -> Moment {
        self.now.clone()
    }

    pub fn can(&self) -> (bool, bool) {
        (!self.past.is_empty(), !self.future.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(source: &str) -> Moment {
        Moment { source: source.into(), document: None, chosen: None }
    }

    #[test]
    fn back_and_forth() {
        let mut history = History::new(moment("a"));
        history.record(moment("b"));
        history.record(moment("b"));
        history.record(moment("c"));
        assert_eq!(history.undo(), Some(moment("b")));
        assert_eq!(history.undo(), Some(moment("a")));
        assert_eq!(history.undo(), None);
        assert_eq!(history.redo(), Some(moment("b")));
        history.record(moment("d"));
        assert_eq!(history.redo(), None);
        assert_eq!(history.can(), (true, false));
        assert_eq!(history.undo(), Some(moment("b")));
    }
}
