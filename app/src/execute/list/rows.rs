//! The rows of a list in the form: their texts, and the operations on them.
//!
//! Invariant: a row's index is its position on the page. Rows are moved by moving their texts, so that nothing on the
//! page is rebuilt, and a position that was once used keeps its signals for later rows.

use crate::ui::focus::focus_drawn;
use domain::schema::{ListField, MOST_ROWS, RowTexts, is_blank};
use leptos::prelude::*;
use web_sys::HtmlElement;

/// The signals of one position.
#[derive(Clone)]
pub struct Slot {
    pub cells: Vec<ArcRwSignal<String>>,
    /// The row's index among the items of the last launch, which problems refer to; `None` if the row was not an item.
    pub item: ArcRwSignal<Option<usize>>,
}

impl Slot {
    fn texts(&self) -> RowTexts {
        self.cells.iter().map(|cell| cell.get_untracked()).collect()
    }

    fn put(&self, row: (RowTexts, Option<usize>)) {
        let (texts, item) = row;
        for (cell, text) in self.cells.iter().zip(texts) {
            cell.set(text);
        }
        self.item.set(item);
    }

    fn take(&self) -> (RowTexts, Option<usize>) {
        (self.texts(), self.item.get_untracked())
    }
}

#[derive(Clone, Copy)]
pub struct Rows {
    pub list: StoredValue<ListField>,
    slots: StoredValue<Vec<Slot>>,
    pub count: RwSignal<usize>,
    /// Number of items in the last launch.
    pub items: RwSignal<usize>,
    /// Prefix of the cells' ids.
    id: StoredValue<String>,
    changed: Option<Callback<()>>,
}

impl Rows {
    pub fn new(list: ListField, first: Vec<RowTexts>, id: String, changed: Option<Callback<()>>) -> Self {
        let rows = Self {
            list: StoredValue::new(list),
            slots: StoredValue::new(Vec::new()),
            count: RwSignal::new(0),
            items: RwSignal::new(0),
            id: StoredValue::new(id),
            changed,
        };
        // An empty row shows what can be entered.
        let first = if first.is_empty() { vec![rows.blank()] } else { first };
        rows.put_all(0, first);
        rows
    }

    fn blank(self) -> RowTexts {
        vec![String::new(); self.list.with_value(|list| list.columns.len())]
    }

    pub fn slot(self, row: usize) -> Option<Slot> {
        self.slots.with_value(|slots| slots.get(row).cloned())
    }

    pub fn id(self, row: usize, column: usize) -> String {
        self.id.with_value(|id| format!("{id}-{row}-{column}"))
    }

    /// The texts of all rows.
    pub fn texts(self) -> Vec<RowTexts> {
        self.all().into_iter().map(|(texts, _)| texts).collect()
    }

    fn all(self) -> Vec<(RowTexts, Option<usize>)> {
        let count = self.count.get_untracked();
        self.slots.with_value(|slots| slots.iter().take(count).map(Slot::take).collect())
    }

    /// Numbers the rows by item, for the problems of the launch being tried.
    pub fn number(self) {
        let mut items = 0..usize::MAX;
        let count = self.count.get_untracked();
        for slot in self.slots.get_value().iter().take(count) {
            let item = if is_blank(&slot.texts()) { None } else { items.next() };
            if slot.item.get_untracked() != item {
                slot.item.set(item);
            }
        }
        self.items.set(items.start);
    }

    /// Replaces all rows.
    pub fn fill(self, rows: Vec<RowTexts>) {
        self.put_all(0, if rows.is_empty() { vec![self.blank()] } else { rows });
        self.number();
        self.has_changed();
    }

    /// Replaces the rows from `at` on.
    fn put_all(self, at: usize, rows: Vec<RowTexts>) {
        self.put(at, rows.into_iter().map(|texts| (texts, None)).collect());
    }

    fn put(self, at: usize, rows: Vec<(RowTexts, Option<usize>)>) {
        let end = at + rows.len();
        let columns = self.list.with_value(|list| list.columns.len());
        let make = || Slot {
            cells: (0..columns).map(|_| ArcRwSignal::new(String::new())).collect(),
            item: ArcRwSignal::new(None),
        };
        self.slots.update_value(|slots| {
            while slots.len() < end {
                slots.push(make());
            }
        });
        let slots = self.slots.with_value(|slots| slots[at..end].to_vec());
        for (slot, row) in slots.iter().zip(rows) {
            slot.put(row);
        }
        if self.count.get_untracked() != end {
            self.count.set(end);
        }
    }

    fn has_changed(self) {
        if let Some(changed) = self.changed {
            changed.run(());
        }
    }

    /// Inserts rows before the row at `at`. Returns false if there would be too many.
    pub fn insert(self, at: usize, new: Vec<RowTexts>) -> bool {
        if self.count.get_untracked() + new.len() > MOST_ROWS {
            return false;
        }
        let after = self.all().split_off(at);
        let new = new.into_iter().map(|texts| (texts, None));
        self.put(at, new.chain(after).collect());
        self.has_changed();
        true
    }

    /// Inserts an empty row before the row at `at` and focuses it.
    pub fn add(self, at: usize) {
        if self.insert(at, vec![self.blank()]) {
            self.focus(at, 0);
        }
    }

    /// Removes a row and focuses the one that takes its place.
    pub fn remove(self, at: usize) -> RowTexts {
        let mut after = self.all().split_off(at);
        let (texts, _) = after.remove(0);
        self.put(at, after);
        self.has_changed();
        texts
    }

    /// Moves a row one place up or down and focuses it. Returns `None` at either end.
    pub fn shift(self, at: usize, column: usize, down: bool) -> Option<usize> {
        let to = if down { at + 1 } else { at.checked_sub(1)? };
        if to >= self.count.get_untracked() {
            return None;
        }
        let (one, other) = (self.slot(at)?, self.slot(to)?);
        let moved = one.take();
        one.put(other.take());
        other.put(moved);
        self.has_changed();
        self.focus(to, column);
        Some(to)
    }

    /// The rows that result from pasting lines of cells into this cell: the first line goes after the remaining text
    /// before the selection, each further line into its own row, and the remaining text after the selection follows
    /// the last. `None` if a line has more cells than there are columns.
    pub fn pasted(
        self,
        at: usize,
        column: usize,
        lines: Vec<Vec<String>>,
        (before, after): (String, String),
    ) -> Option<Vec<RowTexts>> {
        let texts = self.slot(at)?.texts();
        if lines.iter().any(|cells| cells.len() > texts.len() - column) {
            return None;
        }
        let last = lines.len().saturating_sub(1);
        let row = |(line, cells): (usize, Vec<String>)| {
            let mut row = if line == 0 { texts.clone() } else { self.blank() };
            for (cell, text) in row[column..].iter_mut().zip(cells) {
                *cell = text;
            }
            if line == 0 {
                row[column].insert_str(0, &before);
            }
            if line == last {
                row[column].push_str(&after);
            }
            row
        };
        Some(lines.into_iter().enumerate().map(row).collect())
    }

    /// Replaces the row at `at`. The caller has checked that the rows fit.
    pub fn replace(self, at: usize, column: usize, mut rows: Vec<RowTexts>) {
        let last = rows.len().saturating_sub(1);
        let further = rows.split_off(rows.len().min(1));
        if let (Some(slot), Some(first)) = (self.slot(at), rows.pop()) {
            for (cell, text) in slot.cells.iter().zip(first) {
                cell.set(text);
            }
        }
        self.insert(at + 1, further);
        self.focus(at + last, column);
    }

    pub fn focus(self, row: usize, column: usize) {
        focus_drawn(self.id(row, column), |_: &HtmlElement| {});
    }

    /// The id of the control for the whole list.
    pub fn json_id(self) -> String {
        self.id.with_value(|id| format!("{id}-json"))
    }

    pub fn focus_json(self) {
        focus_drawn(self.json_id(), |_: &HtmlElement| {});
    }
}
