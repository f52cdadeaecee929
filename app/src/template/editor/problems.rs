//! What is wrong with the document, each line of it a way to its place.

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
    let problems = editor.problems;
    let state = move || match (editor.settling.get(), editor.unchecked.get(), problems.read().len()) {
        (_, Some(fault), _) => format!("Not checked. {fault}"),
        (true, None, _) => "Checking…".to_owned(),
        (false, None, 0) => "No problems".to_owned(),
        (false, None, 1) => "1 problem".to_owned(),
        (false, None, count) => format!("{count} problems"),
    };
    let later = Memo::new(move |_| {
        editor.source.track();
        problems.track();
        editor.with_document(unsupported).flatten()
    });
    let item = move |problem: Problem| {
        let (line, step) = (problem.line, step_of(&problem.path));
        let place = match (line, problem.path.as_str()) {
            (Some(line), _) => format!("Line {line}"),
            (None, path) => path.to_owned(),
        };
        view! {
            <li>
                <button
                    type="button"
                    class="problem"
                    on:click=move |_| {
                        editor.chosen.set(step);
                        // The canvas shows its step; what belongs to no step stands in the text alone.
                        if step.is_none() || !editor.readable.get_untracked() {
                            editor.side.set(Side::Yaml);
                        }
                        if let (Some(line), Side::Yaml) = (line, editor.side.get_untracked()) {
                            request_animation_frame(move || go_to_line(area, line));
                        }
                    }
                >
                    <Icon glyph=Glyph::Failed/>
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
                {move || problems.get().into_iter().map(item).collect_view()}
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
