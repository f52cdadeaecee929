//! The texts of a launch in its conversation: the title of a new conversation, and the user's message.

use super::Subject;
use crate::{fence::Fenced, plain_line};
use domain::event::{Parent, TemplateVersion, head};
use serde_json::Value;
use std::fmt::Write;

/// How much of each input field the user's message repeats, in bytes.
const SHOWN_FIELD: usize = 4 * 1024;
const TITLE_LIMIT: usize = 80;
/// How many items of a fork its message names.
const LISTED_ITEMS: usize = 20;

pub(super) fn title(subject: &Subject, template: &str, input: &Value) -> String {
    let text = match subject {
        Subject::Ask(text) => text.as_str(),
        Subject::Template(_) => {
            let first = input.as_object().and_then(|fields| fields.values().find_map(Value::as_str));
            let line = first.map(first_line).unwrap_or_default();
            if line.is_empty() {
                return template.to_owned();
            }
            return format!("{template}: {}", head(line, TITLE_LIMIT));
        }
    };
    let line = plain_line(first_line(text));
    if line.is_empty() { "New conversation".to_owned() } else { head(&line, TITLE_LIMIT).to_owned() }
}

fn first_line(text: &str) -> &str {
    text.trim().lines().next().unwrap_or_default().trim()
}

/// The user's message for a launch: the template and its input.
pub(super) fn describe(version: &TemplateVersion, input: &Value) -> String {
    let mut text = format!("Run {} (version {})", version.name, version.version);
    fields(&mut text, input);
    text
}

fn fields(text: &mut String, input: &Value) {
    for (name, value) in input.as_object().into_iter().flatten() {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let shown = head(&value, SHOWN_FIELD);
        let rest = value.len() - shown.len();
        let fenced = Fenced { language: "", text: shown, whole: &value };
        // Writing to a String does not fail.
        _ = write!(text, "\n\n{name}:\n\n{fenced}");
        if rest > 0 {
            _ = write!(text, "\n\n({rest} more bytes)");
        }
    }
}

/// The user's message for a fork. `input`: the new input, if it was changed.
pub(super) fn describe_fork(
    version: &TemplateVersion,
    parent: &Parent,
    items: Option<&[u32]>,
    input: Option<&Value>,
) -> String {
    let mut text = match items {
        None => format!("Run {} again from \u{201c}{}\u{201d}", parent.run, parent.from_step),
        Some(items) => {
            let mut listed =
                items.iter().take(LISTED_ITEMS).map(ToString::to_string).collect::<Vec<_>>().join(", ");
            if items.len() > LISTED_ITEMS {
                _ = write!(listed, " and {} more", items.len() - LISTED_ITEMS);
            }
            let items = if items.len() == 1 { "item" } else { "items" };
            format!(
                "Run {items} {listed} of \u{201c}{}\u{201d} of run {} again",
                parent.from_step, parent.run
            )
        }
    };
    _ = write!(text, " ({}, version {})", version.name, version.version);
    if let Some(input) = input {
        fields(&mut text, input);
    }
    text
}
