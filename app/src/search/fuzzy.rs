//! Scores how well typed letters match a name.

/// Higher is better; `None` if the letters do not all occur in order. Matches at the start of the name, at the start
/// of words, and of consecutive letters score most.
pub fn score(typed: &str, name: &str) -> Option<i32> {
    let mut wanted = typed.chars().filter(|c| !c.is_whitespace()).flat_map(char::to_lowercase).peekable();
    let (mut score, mut in_a_row, mut before) = (0, 0, ' ');
    let mut length = 0;
    for letter in name.chars().flat_map(char::to_lowercase) {
        length += 1;
        if wanted.next_if_eq(&letter).is_some() {
            in_a_row += 1;
            let starts_word = if before.is_alphanumeric() { 0 } else { 8 };
            let starts_name = if length == 1 { 2 } else { 0 };
            score += 4 * in_a_row + starts_word + starts_name;
        } else {
            in_a_row = 0;
        }
        before = letter;
    }
    // Of two equal matches, the shorter name is more likely to be meant.
    wanted.peek().is_none().then_some(score * 8 - length)
}

#[cfg(test)]
mod tests {
    use super::score;

    #[test]
    fn what_is_meant_comes_first() {
        for (typed, better, worse) in [
            ("run", "Runs", "Retry until next"),
            ("cr", "Code Review", "Documentation crawler run"),
            ("exe rev", "Execute Code Review", "Execute Drive"),
            ("te", "Templates", "Write"),
            ("ü", "Über", "x ü"),
        ] {
            assert!(score(typed, better) > score(typed, worse), "{typed}: {better} before {worse}");
        }
        assert_eq!(score("xyz", "Templates"), None);
        assert!(score("", "Anything").is_some());
    }
}
