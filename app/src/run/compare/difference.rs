//! The difference between the outputs of two runs: by value if both are JSON, otherwise by line.

use crate::{
    changes::{between, coloured},
    run::server::TEXT_LIMIT,
};
use domain::{id::RunNumber, key::ProjectKey};
use engine::{Engine, User};
use leptos::{prelude::*, tachys::view::RenderHtml};
use serde_json::Value;

/// Maximum number of differing values shown.
const VALUES: usize = 200;
/// Maximum number of characters shown of a value.
const VALUE: usize = 300;

/// The output of a step, limited to the size that a page shows.
#[derive(Default)]
pub struct Output {
    json: bool,
    /// Size of the whole output.
    bytes: u64,
    text: String,
}

/// Empty while the step has no output.
pub async fn output(
    engine: &Engine,
    user: &User,
    project: &ProjectKey,
    run: RunNumber,
    step: &str,
) -> engine::Result<Output> {
    let state = engine.run(user, project, run).await?.state;
    let place = state.plan.steps.iter().position(|planned| planned.name == step);
    let Some(output) = place.and_then(|place| state.steps.get(place)?.output.clone()) else {
        return Ok(Output::default());
    };
    let content = engine.content(user, project, run, output.id, Some(TEXT_LIMIT)).await?;
    Ok(Output { json: output.json, bytes: output.bytes, text: content.text })
}

/// `None` if the outputs are equal.
pub fn drawn(before: &Output, after: &Output) -> Option<String> {
    if before.text == after.text && before.bytes == after.bytes {
        return None;
    }
    let value = |output: &Output| {
        let structured = output.json || output.text.starts_with(['{', '[']);
        structured.then(|| serde_json::from_str::<Value>(&output.text).ok()).flatten()
    };
    Some(match (value(before), value(after)) {
        (Some(one), Some(other)) if !one.is_string() && !other.is_string() => {
            let changes = values(&one, &other);
            if changes.is_empty() {
                return None;
            }
            value_list(&changes)
        }
        _ => lines(&before.text, &after.text),
    })
}

fn lines(before: &str, after: &str) -> String {
    let lines = coloured(&between(before, after));
    view! { <div class="run-text file-changes compare-lines">{lines}</div> }.to_html()
}

/// A value that differs: its path, and its text in each output.
#[derive(Debug, PartialEq)]
struct Changed {
    place: String,
    before: Option<String>,
    after: Option<String>,
}

fn values(before: &Value, after: &Value) -> Vec<Changed> {
    let mut changes = Vec::new();
    compare("", Some(before), Some(after), &mut changes);
    changes
}

fn compare(place: &str, before: Option<&Value>, after: Option<&Value>, changes: &mut Vec<Changed>) {
    if before == after || changes.len() > VALUES {
        return;
    }
    let inner = |key: &str| if place.is_empty() { key.to_owned() } else { format!("{place}.{key}") };
    match (before, after) {
        (Some(Value::Object(one)), Some(Value::Object(other))) => {
            let added = other.keys().filter(|key| !one.contains_key(*key));
            for key in one.keys().chain(added) {
                compare(&inner(key), one.get(key), other.get(key), changes);
            }
        }
        (Some(Value::Array(one)), Some(Value::Array(other))) => {
            for index in 0..one.len().max(other.len()) {
                compare(&format!("{place}[{index}]"), one.get(index), other.get(index), changes);
            }
        }
        _ => {
            let place = if place.is_empty() { "the whole".to_owned() } else { place.to_owned() };
            changes.push(Changed { place, before: before.map(shown), after: after.map(shown) });
        }
    }
}

fn shown(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    match text.char_indices().nth(VALUE) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

fn value_list(changes: &[Changed]) -> String {
    let more = changes.len() > VALUES;
    let row = |change: &Changed| {
        let (before, after) = (change.before.clone(), change.after.clone());
        view! {
            <div class="compare-value">
                <dt class="mono">{change.place.clone()}</dt>
                <dd>
                    {before.map(|text| view! { <del>{text}</del> })}
                    {after.map(|text| view! { <ins>{text}</ins> })}
                </dd>
            </div>
        }
    };
    let rows = changes.iter().take(VALUES).map(row).collect_view();
    view! {
        <dl class="compare-values">{rows}</dl>
        {more.then(|| view! { <p class="muted">"More differs; the first 200 places are shown."</p> })}
    }
    .to_html()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_differ_where_they_stand() {
        let before = json!({"score": 3, "risks": [{"name": "flood"}, {"name": "frost"}], "gone": true});
        let after = json!({"score": 4, "risks": [{"name": "flood"}, {"name": "heat"}, "more"]});
        let changed = |place: &str, before: Option<&str>, after: Option<&str>| Changed {
            place: place.into(),
            before: before.map(Into::into),
            after: after.map(Into::into),
        };
        let mut found = values(&before, &after);
        found.sort_by(|one, other| one.place.cmp(&other.place));
        assert_eq!(
            found,
            [
                changed("gone", Some("true"), None),
                changed("risks[1].name", Some("frost"), Some("heat")),
                changed("risks[2]", None, Some("more")),
                changed("score", Some("3"), Some("4")),
            ]
        );
        assert!(values(&before, &before).is_empty());
        assert_eq!(values(&json!(1), &json!({"a": 1}))[0].place, "the whole");
    }

    #[test]
    fn outputs_that_are_the_same_have_no_difference() {
        let text = |text: &str| Output { json: false, bytes: text.len() as u64, text: text.to_owned() };
        assert_eq!(drawn(&text("a\n"), &text("a\n")), None);
        assert_eq!(drawn(&text(""), &Output::default()), None);
        assert_eq!(drawn(&text("{\"a\": 1}"), &text("{ \"a\": 1 }")), None, "however JSON is spaced");
        let html = drawn(&text("a\n<b>\n"), &text("a\nc\n")).unwrap();
        assert!(html.contains("-&lt;b&gt;") && html.contains("+c"), "{html}");
    }
}
