//! Statements that store many rows at once, in few texts: each text is prepared once and kept.
//!
//! There are texts for one row and for each power of two. Of other numbers the next greater one is taken, and the rows that
//! are too many are empty: without an id in their first value, the view's trigger leaves them out.

/// The most rows of a text.
const MOST: usize = 32;

/// What stands bounds a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransactionBounds {
    /// It is the whole transaction.
    Whole,
    /// It begins one.
    Begin,
    Between,
    Commit,
}

impl TransactionBounds {
    pub const fn new(begins: bool, commits: bool) -> Self {
        match (begins, commits) {
            (true, true) => Self::Whole,
            (true, false) => Self::Begin,
            (false, false) => Self::Between,
            (false, true) => Self::Commit,
        }
    }

    const fn begins(self) -> bool {
        matches!(self, Self::Whole | Self::Begin)
    }

    const fn commits(self) -> bool {
        matches!(self, Self::Whole | Self::Commit)
    }
}

/// The texts that insert into a view: for each power of two, one for each [`TransactionBounds`].
pub struct StatementCache(Vec<[String; 4]>);

impl StatementCache {
    /// `after` gives what follows on the insertion of so many rows, with a semicolon before it.
    pub fn new(view: &str, values: usize, after: impl Fn(usize) -> String) -> Self {
        // Numbered arguments are looked up by their names, one after another: of some hundred that takes longer than the
        // rest.
        let row = format!("({})", ["?"; 64][..values].join(", "));
        let texts = |rows: usize| {
            // Who hears of a refused row undoes the transaction.
            let insert = format!(
                "INSERT OR FAIL INTO {view} VALUES {}{}",
                vec![row.as_str(); rows].join(", "),
                after(rows)
            );
            // In the order of `TransactionBounds`.
            [
                format!("BEGIN IMMEDIATE; {insert}; COMMIT"),
                format!("BEGIN IMMEDIATE; {insert}"),
                insert.clone(),
                format!("{insert}; COMMIT"),
            ]
        };
        Self((0..=MOST.ilog2()).map(|power| texts(1 << power)).collect())
    }

    /// The text, and for how many rows it is: at least as many as there are.
    pub fn of(&self, rows: usize, bounds: TransactionBounds) -> (&str, usize) {
        let rows = rows.next_power_of_two();
        (&self.0[rows.ilog2() as usize][bounds as usize], rows)
    }
}

/// The rows in shares that a text can take, with what stands bounds each. No rows: no shares.
pub fn shares<T>(rows: &[T], bounds: TransactionBounds) -> impl Iterator<Item = (&[T], TransactionBounds)> {
    let last = rows.len().div_ceil(MOST).saturating_sub(1);
    rows.chunks(MOST).enumerate().map(move |(n, share)| {
        (share, TransactionBounds::new(bounds.begins() && n == 0, bounds.commits() && n == last))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_in_one_share_and_the_transaction_stands_around_all() {
        for count in 0..200_usize {
            let rows: Vec<_> = (0..count).collect();
            let cut: Vec<_> = shares(&rows, TransactionBounds::Whole).collect();
            assert_eq!(cut.iter().flat_map(|(share, _)| *share).copied().collect::<Vec<_>>(), rows);
            assert!(cut.iter().all(|(share, _)| !share.is_empty() && share.len() <= MOST));
            let begun: Vec<_> = cut.iter().map(|(_, bounds)| bounds.begins()).collect();
            let ended: Vec<_> = cut.iter().rev().map(|(_, bounds)| bounds.commits()).collect();
            let once: Vec<_> = (0..cut.len()).map(|place| place == 0).collect();
            assert_eq!((begun, ended), (once.clone(), once), "{count} rows");
            assert!(
                shares(&rows, TransactionBounds::Between)
                    .all(|(_, bounds)| bounds == TransactionBounds::Between)
            );
        }
    }
}
