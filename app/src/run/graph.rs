//! The steps of a run as a graph, coloured by status.

use super::{
    status::whole_seconds,
    steps::is_under_way,
    words::{attempt_words, item_words, step_status},
};
use crate::{
    canvas::{Canvas, Look, Scene},
    live::LiveRun,
    ui::{format_duration, role_hue},
};
use domain::{
    id::StepRunId,
    run::{StepState, StepStatus},
};
use leptos::prelude::*;
use leptos_router::{NavigateOptions, hooks::use_navigate};

/// Arrow keys choose a step; Enter or a click opens its panel.
#[component]
pub fn Graph(run: LiveRun, #[prop(into)] chosen: Signal<Option<StepRunId>>) -> impl IntoView {
    // A plan does not change once it is known, so the status of steps never changes the layout.
    let planned = Memo::new(move |_| run.state.read().plan.steps.len());
    let scene = Memo::new(move |_| {
        planned.track();
        run.state.with_untracked(|state| Scene::of_plan(&state.plan))
    });
    let looked_at = RwSignal::new(None::<usize>);
    Effect::new(move |_| {
        if let Some(step) = chosen.get() {
            looked_at.set(Some(step.index()));
        }
    });
    let navigate = use_navigate();
    let open = Callback::new(move |index: usize| {
        let options = NavigateOptions { scroll: false, ..NavigateOptions::default() };
        navigate(&format!("?tab=graph&step={}", StepRunId::of(index)), options);
    });
    let look = Callback::new(move |index: usize| -> Signal<Look> {
        let id = StepRunId::of(index);
        let (step, items) = (run.step(id), run.items(id));
        let retries =
            run.state.with_untracked(|state| state.plan.steps.get(index).map_or(0, |step| step.max_retries));
        Memo::new(move |_| {
            let step = step.read();
            let words = items.get().map(item_words).or_else(|| attempt_words(&step, retries));
            let status = step_status(&step);
            let words = words.unwrap_or_else(|| status.label().to_owned());
            let line = time(run, &step).map_or_else(|| words.clone(), |time| format!("{words}, {time}"));
            let hue = step.role.as_ref().map(|role| role_hue(role.key.as_str())).unwrap_or_default();
            let role = step.role.as_ref().map(|role| role.key.to_string()).unwrap_or_default();
            Look { status, line, role, hue }
        })
        .into()
    });
    view! {
        <Canvas
            id="run-step"
            label="Steps of the run"
            scene
            chosen=looked_at
            on_choose=Callback::new(move |index| looked_at.set(index))
            on_open=open
            open_on_click=true
            look
        />
    }
}

/// The duration of the step, or its running time so far.
fn time(run: LiveRun, step: &StepState) -> Option<String> {
    let from = step.started_at().filter(|_| !step.reused)?;
    match step.finished_at() {
        Some(to) if step.status != StepStatus::Skipped => Some(format_duration(to.since(from))),
        Some(_) => None,
        None if is_under_way(step) => run.now().map(|now| whole_seconds(now.since(from))),
        None => None,
    }
}
