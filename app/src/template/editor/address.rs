//! The editor's view in the URL: `?side=yaml&step=Draft`, so that a reload and a shared link show the same side and
//! step.
//!
//! Invariant: the URL is replaced, never pushed. The Back button leaves the editor instead of going through every
//! visited step.

use super::state::{Editor, Side};
use leptos::{leptos_dom::helpers::TimeoutHandle, prelude::*};
use leptos_router::{
    NavigateOptions,
    hooks::{use_navigate, use_query_map},
};
use std::time::Duration;

/// How long the choice must be unchanged: arrow keys move over many steps, and browsers limit how often a URL may
/// change.
const PAUSE: Duration = Duration::from_millis(200);

/// Shows the URL's side and step, and writes later choices into the URL.
pub fn follow_address(editor: Editor) {
    let query = use_query_map();
    query.with_untracked(|query| {
        if let Some(side) = query.get("side").and_then(|word| Side::parse(&word)) {
            editor.side.set(side);
        }
        let place = query.get("step").and_then(|name| {
            editor
                .with_document(|template| template.steps.iter().position(|step| step.name == name))
                .flatten()
        });
        if place.is_some() {
            editor.chosen.set(place);
        }
    });
    let navigate = use_navigate();
    let timer = StoredValue::new(None::<TimeoutHandle>);
    let stop = move || {
        if let Some(before) = timer.try_update_value(Option::take).flatten() {
            before.clear();
        }
    };
    Effect::new(move |before: Option<(Side, Option<String>)>| {
        // A renamed step has another URL.
        editor.drawn.track();
        let (side, chosen) = (editor.side.get(), editor.chosen.get());
        let step = chosen.and_then(|index| {
            editor.with_document(|template| Some(template.steps.get(index)?.name.clone())).flatten()
        });
        let now = (side, step);
        if before.as_ref().is_some_and(|before| *before != now) {
            stop();
            let (side, step) = now.clone();
            let navigate = navigate.clone();
            let due = move || {
                let mut here = query.get_untracked();
                let mut said = |word: &'static str, value: Option<String>| match value {
                    Some(value) => here.replace(word, value),
                    None => _ = here.remove(word),
                };
                said("side", (side != Side::Canvas).then(|| side.word().to_owned()));
                said("step", step);
                let to = match here.to_query_string() {
                    // Without a query the path must be given: an empty URL would change nothing.
                    empty if empty.is_empty() => window().location().pathname().unwrap_or_default(),
                    query => query,
                };
                navigate(&to, NavigateOptions { replace: true, scroll: false, ..NavigateOptions::default() });
            };
            timer.set_value(set_timeout_with_handle(due, PAUSE).ok());
        }
        now
    });
    // The next page has a URL of its own.
    on_cleanup(stop);
}
