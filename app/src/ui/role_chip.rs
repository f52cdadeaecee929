//! The colour of a role, and the chip that shows it.

use leptos::prelude::*;

/// One class per ten degrees of hue; each sets `--role-hue`, from which the style sheet mixes the role's colours.
static HUES: [&str; 36] = [
    "hue-0", "hue-1", "hue-2", "hue-3", "hue-4", "hue-5", "hue-6", "hue-7", "hue-8", "hue-9", "hue-10",
    "hue-11", "hue-12", "hue-13", "hue-14", "hue-15", "hue-16", "hue-17", "hue-18", "hue-19", "hue-20",
    "hue-21", "hue-22", "hue-23", "hue-24", "hue-25", "hue-26", "hue-27", "hue-28", "hue-29", "hue-30",
    "hue-31", "hue-32", "hue-33", "hue-34", "hue-35",
];

/// The class of a role's colour, permanently derived from the key (FNV-1a, with an initial value chosen so that the
/// most common names get distinct colours).
///
/// On an element with this class, `var(--role-text)`, `var(--role-ground)`, `var(--role-line)` and `var(--role-solid)`
/// are the role's.
pub fn role_hue(key: &str) -> &'static str {
    let hash = key.bytes().fold(11_119_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    // The low bits of FNV-1a of short keys are close together; folding in the high bits spreads them.
    let spread = hash ^ (hash >> 15);
    HUES[spread as usize % HUES.len()]
}

/// Two letters: `senior_reviewer` gives SR, `writer` gives WR.
pub fn role_initials(key: &str) -> String {
    let mut words = key.split(['_', '-', ' ', '.']).filter(|word| !word.is_empty());
    let letters: String = match (words.next(), words.next()) {
        (Some(first), Some(second)) => first.chars().take(1).chain(second.chars().take(1)).collect(),
        (Some(only), None) => only.chars().take(2).collect(),
        _ => "?".into(),
    };
    letters.to_uppercase()
}

/// `compact` shows only the initials, with the name as tooltip. `fallback` marks a fallback role.
#[component]
pub fn RoleChip(
    #[prop(into)] role: String,
    /// Shown instead of the key.
    #[prop(optional, into)]
    name: Option<String>,
    #[prop(optional, into)] href: Option<String>,
    #[prop(optional)] compact: bool,
    #[prop(optional)] fallback: bool,
) -> impl IntoView {
    let mut class = format!("role-chip {}", role_hue(&role));
    if compact {
        class.push_str(" role-chip-compact");
    }
    if fallback {
        class.push_str(" role-chip-fallback");
    }
    let initials = role_initials(&role);
    let shown = name.unwrap_or_else(|| role.clone());
    let title = if fallback { format!("{shown} (fallback)") } else { shown.clone() };
    let content = view! {
        <span class="role-chip-initials" aria-hidden="true">{initials}</span>
        <span class=if compact { "visually-hidden" } else { "role-chip-name" }>{shown}</span>
        {fallback.then(|| view! {
            <span class=if compact { "visually-hidden" } else { "role-chip-note" }>"fallback"</span>
        })}
    };
    match href {
        Some(href) => view! { <a class=class href=href title=title>{content}</a> }.into_any(),
        None => view! { <span class=class title=title>{content}</span> }.into_any(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_keeps_its_colour() {
        assert_eq!(role_hue("senior_reviewer"), role_hue("senior_reviewer"));
        let seen: std::collections::BTreeSet<_> =
            ["general_worker", "senior_reviewer", "report_bot", "writer", "critic", "planner"]
                .map(role_hue)
                .into();
        assert!(seen.len() >= 5, "colours run together: {seen:?}");
    }

    #[test]
    fn initials_come_from_words() {
        for (key, initials) in
            [("senior_reviewer", "SR"), ("writer", "WR"), ("a-b-c", "AB"), ("x", "X"), ("", "?")]
        {
            assert_eq!(role_initials(key), initials);
        }
    }
}
