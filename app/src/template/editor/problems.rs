//! The problems of the document and, below them, the hints. Each entry leads to its place.

use super::{
    designer::step_of,
    state::{Editor, Side},
    yaml::go_to_line,
};
use crate::{
    form::sentence,
    ui::{Glyph, Icon},
};
use domain::{problem::Problem, template::unsupported};
use leptos::{html, prelude::*};

#[component]
pub fn Problems(editor: Editor, area: NodeRef<html::Textarea>) -> impl IntoView {
    let (problems, hints) = (editor.problems, editor.hints);
    let state = move || match (editor.settling.get(), editor.unchecked.get()) {
        (_, Some(fault)) => format!("Not checked. {fault}"),
        (true, None) => "Checking…".to_owned(),
        (false, None) => {
            let mut counted = match problems.read().len() {
                0 => "No problems".to_owned(),
                1 => "1 problem".to_owned(),
                count => format!("{count} problems"),
            };
            match hints.read().len() {
                0 => {}
                1 => counted.push_str(", 1 hint"),
                count => counted.push_str(&format!(", {count} hints")),
            }
            counted
        }
    };
    let later = Memo::new(move |_| {
        editor.source.track();
        problems.track();
        editor.with_document(unsupported).flatten()
    });
    let item = move |(is_hint, problem): (bool, Problem)| {
        let (line, step) = (problem.line, step_of(&problem.path));
        let place = match (is_hint, line, problem.path.as_str()) {
            (true, Some(line), _) => format!("Hint, line {line}"),
            (true, None, _) => "Hint".to_owned(),
            (false, Some(line), _) => format!("Line {line}"),
            (false, None, path) => path.to_owned(),
        };
        let glyph = if is_hint { Glyph::Info } else { Glyph::Failed };
        view! {
            <li>
                <button
                    type="button"
                    class="problem"
                    class:problem-hint=is_hint
                    on:click=move |_| {
                        editor.chosen.set(step);
                        // Problems of a step are shown on the canvas; all others only have a place in the text.
                        if step.is_none() || !editor.readable.get_untracked() {
                            editor.side.set(Side::Yaml);
                        }
                        if let (Some(line), Side::Yaml) = (line, editor.side.get_untracked()) {
                            request_animation_frame(move || go_to_line(area, line));
                        }
                    }
                >
                    <Icon glyph/>
                    <span class="problem-place mono">{place}</span>
                    <span class="problem-text">{sentence(&problem.message)}</span>
                    <span class="problem-path mono">{line.and(Some(problem.path))}</span>
                </button>
            </li>
        }
    };
    view! {
        <section class="problems" id="template-problems" aria-label="Problems">
            <p
                class="problems-state"
                class:problems-none=move || problems.read().is_empty() && editor.unchecked.read().is_none()
                role="status"
            >
                {state}
            </p>
            <ul class="problems-list" role="list">
                {move || {
                    let of = |is_hint: bool, found: Vec<Problem>| found.into_iter().map(move |one| (is_hint, one));
                    of(false, problems.get()).chain(of(true, hints.get())).map(item).collect_view()
                }}
            </ul>
            {move || {
                later
                    .get()
                    .map(|later| {
                        view! {
                            <p class="problems-later">
                                <Icon glyph=Glyph::Info/>
                                {sentence(&later)}
                                " It can be saved, but not launched."
                            </p>
                        }
                    })
            }}
        </section>
    }
}
