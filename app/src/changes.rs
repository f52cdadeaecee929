//! What became of a text from one version to the next.

use leptos::prelude::*;
use similar::{Algorithm, TextDiff};
use std::time::Duration;

/// How many unchanged lines stand around a change.
const AROUND: usize = 3;
/// How many lines are shown.
const LINES: usize = 2_000;
/// How much of them is shown, in bytes.
const BYTES: usize = 256 * 1024;
/// After so long the rest counts as changed altogether: some texts have nothing in common, at length.
const PATIENCE: Duration = Duration::from_millis(300);

/// Line by line: each begins with `+` (new), `-` (gone), a space (as it was), or `@` (where it stands).
pub fn between(before: &str, after: &str) -> String {
    let diff = TextDiff::configure()
        .algorithm(Algorithm::Patience)
        .timeout(PATIENCE)
        .newline_terminated(true)
        .diff_lines(before, after);
    let all = diff.unified_diff().context_radius(AROUND).missing_newline_hint(false).to_string();
    let mut shown = String::new();
    for (number, line) in all.lines().enumerate() {
        if number == LINES || shown.len() + line.len() > BYTES {
            shown.push_str("@ The rest is not shown.\n");
            break;
        }
        shown.push_str(line);
        shown.push('\n');
    }
    shown
}

/// Those lines, each in the colours of what it is.
pub fn coloured(lines: &str) -> Vec<AnyView> {
    let coloured = |line: &str| {
        let class = match line.as_bytes().first() {
            Some(b'+') => "change change-added",
            Some(b'-') => "change change-gone",
            Some(b'@') => "change change-place",
            _ => "change",
        };
        view! { <span class=class>{line.to_owned()}</span> }.into_any()
    };
    lines.lines().map(coloured).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_stand_among_what_is_around_them() {
        let before = "a\nb\nc\nd\ne\nf\ng\nh\n";
        assert_eq!(
            between(before, &before.replace('f', "F")),
            "@@ -3,6 +3,6 @@\n c\n d\n e\n-f\n+F\n g\n h\n"
        );
        assert_eq!(between(before, before), "");
        assert_eq!(between("a", "b"), "@@ -1 +1 @@\n-a\n+b\n");
    }

    #[test]
    fn what_is_too_long_is_cut() {
        let after: String = (0..5_000).map(|line| format!("{line}\n")).collect();
        let changes = between("", &after);
        assert_eq!(changes.lines().count(), LINES + 1);
        assert!(changes.ends_with("@ The rest is not shown.\n"));
    }
}
