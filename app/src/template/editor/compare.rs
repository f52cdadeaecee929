//! A line-based comparison of two texts: which lines the other text lacks.

/// Longer texts are not compared: the table's size is the product of both lengths.
const MOST_LINES: usize = 2_000;

/// A line, and whether it is part of the common subsequence.
type Compared<'a> = Vec<(&'a str, bool)>;

/// The lines of `mine` and of `theirs`.
pub fn compare<'a>(mine: &'a str, theirs: &'a str) -> (Compared<'a>, Compared<'a>) {
    let (left, right): (Vec<_>, Vec<_>) = (mine.lines().collect(), theirs.lines().collect());
    if left.len() > MOST_LINES || right.len() > MOST_LINES {
        let plain = |lines: Vec<&'a str>| lines.into_iter().map(|line| (line, true)).collect();
        return (plain(left), plain(right));
    }
    // The longest common subsequence, computed from the end so that it can be read from the beginning.
    let mut longest = vec![vec![0_u32; right.len() + 1]; left.len() + 1];
    for (i, one) in left.iter().enumerate().rev() {
        for (j, other) in right.iter().enumerate().rev() {
            longest[i][j] = if one == other {
                longest[i + 1][j + 1] + 1
            } else {
                longest[i + 1][j].max(longest[i][j + 1])
            };
        }
    }
    let (mut i, mut j) = (0, 0);
    let (mut ours, mut others) = (Vec::new(), Vec::new());
    while i < left.len() || j < right.len() {
        if i < left.len() && j < right.len() && left[i] == right[j] {
            ours.push((left[i], true));
            others.push((right[j], true));
            (i, j) = (i + 1, j + 1);
        } else if j == right.len() || (i < left.len() && longest[i + 1][j] >= longest[i][j + 1]) {
            ours.push((left[i], false));
            i += 1;
        } else {
            others.push((right[j], false));
            j += 1;
        }
    }
    (ours, others)
}

#[cfg(test)]
mod tests {
    use super::compare;

    #[test]
    fn lines_of_one_side_are_marked() {
        let (mine, theirs) = compare("a\nb\nc", "a\nx\nc\nd");
        assert_eq!(mine, [("a", true), ("b", false), ("c", true)]);
        assert_eq!(theirs, [("a", true), ("x", false), ("c", true), ("d", false)]);
        assert_eq!(compare("", ""), (vec![], vec![]));
    }
}
