//! The differences between two versions of a text.

use leptos::prelude::*;
use similar::{Algorithm, TextDiff};
use std::time::Duration;

/// Number of unchanged lines shown around a change.
const AROUND: usize = 3;
/// Maximum number of lines shown.
const LINES: usize = 2_000;
/// Maximum size of the shown lines, in bytes.
const BYTES: usize = 256 * 1024;
/// After this time the rest counts as changed: long texts without common lines take too long to compare.
const PATIENCE: Duration = Duration::from_millis(300);

/// A line-based diff. Each line begins with `+` (added), `-` (removed), a space (unchanged), or `@` (position).
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

/// The diff's lines, each in its colour.
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
