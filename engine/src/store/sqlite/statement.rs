//! Statements that insert many rows at once, with few distinct texts, so that each text is prepared once and cached.
//!
//! There is a text for each power of two of rows. For any other number, the next greater power is taken and the surplus
//! rows are empty: the view's trigger skips a row whose first value, the id, is null.

/// The most rows in one text.
const MOST: usize = 32;

/// The transaction statements around an insertion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransactionBounds {
    /// The insertion is the whole transaction.
    Whole,
    /// The insertion begins a transaction.
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

/// The texts that insert into a view: one per power of two and [`TransactionBounds`].
pub struct StatementCache(Vec<[String; 4]>);

impl StatementCache {
    /// `after` returns the SQL that follows an insertion of so many rows; it starts with a semicolon.
    pub fn new(view: &str, values: usize, after: impl Fn(usize) -> String) -> Self {
        // Anonymous parameters: SQLite looks numbered ones up by name, one after another, which for hundreds of them
        // takes longer than all the rest.
        let row = format!("({})", ["?"; 64][..values].join(", "));
        let texts = |rows: usize| {
            // FAIL keeps the earlier rows of the statement; the caller rolls the transaction back.
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

    /// The text for at least `rows` rows, and its number of rows.
    pub fn of(&self, rows: usize, bounds: TransactionBounds) -> (&str, usize) {
        let rows = rows.next_power_of_two();
        (&self.0[rows.ilog2() as usize][bounds as usize], rows)
    }
}

/// Splits the rows into shares of at most one text each, with the transaction bounds of each. No rows: no shares.
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
