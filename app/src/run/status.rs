//! The status of a run, in its message and on its own page: one component over the run's folded state.
//!
//! Expanded while the run is live, and collapsed to one line when it ends. A plain `<details>`, so it can be opened
//! without script.

use super::{
    compare::compare_href,
    copy::CopyOutput,
    failure::Failure,
    files::FileLine,
    log::Log,
    question::Questions,
    rerun::Rerun,
    server::look_at_run,
    steps::{Steps, is_under_way},
    stop::Stop,
    words::run_status,
};
use crate::{
    live::LiveRun,
    ui::{
        ButtonLink, ButtonSize, ButtonVariant, Glyph, StatusBadge, format_bytes, format_count,
        format_duration,
    },
};
use domain::{key::ProjectKey, run::Phase};
use leptos::{ev, prelude::*, task::spawn_local};

/// Maximum number of steps listed in a message; the run's page lists all.
const STEPS_IN_MESSAGE: usize = 200;

#[component]
pub fn Status(
    project: ProjectKey,
    run: LiveRun,
    /// The output of a single step is shown in the message itself, so the list does not repeat it.
    #[prop(optional)]
    text_elsewhere: bool,
    /// Omit the steps, which the run's page shows in a tab.
    #[prop(optional)]
    compact: bool,
    /// Whether the user may answer and rerun.
    #[prop(optional)]
    may_edit: bool,
    /// Expanded, even if the run has ended.
    #[prop(optional)]
    open: bool,
) -> impl IntoView {
    let state = run.state;
    let live = run.is_live();
    let open = RwSignal::new(open || live.get_untracked() && !compact);
    // Collapses when the run ends while the page is open, not when a page of an ended run is opened.
    Effect::new(move |was: Option<bool>| {
        let now = live.get();
        if was == Some(true) && !now {
            open.set(false);
        }
        now
    });
    let toggled = move |event: ev::Event| {
        open.set(event_target::<web_sys::Element>(&event).has_attribute("open"));
    };
    look_at_failure(&project, run, compact);
    let rerun = RwSignal::new(false);
    let status = Memo::new(move |_| state.with(run_status));
    let warnings = Memo::new(move |_| {
        state.with(|state| state.warnings.iter().map(|warning| warning.text(state)).collect::<Vec<_>>())
    });
    let bytes = Memo::new(move |_| run.bytes_generated());
    let number = run.number;
    let href = format!("/p/{project}/runs/{number}");
    view! {
        <section class="run-status" aria-label=format!("Status of run {number}")>
            <div class="run-status-actions">
                <a class="link run-status-run" href=href hidden=compact>"run " {number.0}</a>
                <Stop project=project.clone() run/>
                {may_edit.then(|| view! { <Rerun project=project.clone() run leave=compact open=rerun/> })}
                <CompareLink project=project.clone() run/>
                <CopyOutput project=project.clone() run/>
            </div>
            <details class="run-status-fold" open=move || open.get() on:toggle=toggled>
                <summary class="run-status-line">
                    <span aria-live="polite"><StatusBadge status plain=true/></span>
                    <span class="run-status-elapsed">{move || elapsed(run)}</span>
                    {move || summary(run, compact)}
                    {move || (live.get() && bytes.get() > 0).then(|| part(format_bytes(bytes.get())))}
                </summary>
                <div class="run-status-body">
                    {move || queued(run)}
                    {(!compact)
                        .then(|| {
                            view! {
                                <Steps
                                    project=project.clone()
                                    run
                                    limit=STEPS_IN_MESSAGE
                                    text_elsewhere
                                />
                            }
                        })}
                    {move || {
                        let warnings = warnings.get();
                        (!warnings.is_empty())
                            .then(|| {
                                view! {
                                    <ul class="run-status-warnings" aria-label="Warnings">
                                        {warnings
                                            .into_iter()
                                            .map(|text| view! { <li>{text}</li> })
                                            .collect_view()}
                                    </ul>
                                }
                            })
                    }}
                    <Log run/>
                </div>
            </details>
            <Questions project=project.clone() run may_edit/>
            {(!compact).then(|| view! { <FileLine project=project.clone() run/> })}
            <Failure project=project.clone() state rerun=may_edit.then_some(rerun)/>
        </section>
    }
    .into_any()
}

/// Removes a failure from the user's inbox when they see it: on the run's own page, or when it happens on the current
/// page.
fn look_at_failure(project: &ProjectKey, run: LiveRun, on_its_page: bool) {
    let project = StoredValue::new(project.clone());
    let phase = Memo::new(move |_| run.state.read().phase);
    Effect::new(move |was: Option<Phase>| {
        let now = phase.get();
        let before_these_eyes = was.is_some_and(|was| !was.is_end());
        if now == Phase::Failed && (on_its_page || before_these_eyes) {
            spawn_local(async move {
                // If this fails, the run merely stays in the inbox.
                _ = look_at_run(project.get_value(), run.number).await;
            });
        }
        now
    });
}

/// The link to compare this run with others; a fork is compared with its parent.
#[component]
fn CompareLink(project: ProjectKey, run: LiveRun) -> impl IntoView {
    let live = run.is_live();
    let parent = run.state.with_untracked(|state| state.parent.as_ref().map(|parent| parent.run));
    let runs: Vec<_> = parent.into_iter().chain([run.number]).collect();
    let href = StoredValue::new(compare_href(&project, &runs));
    view! {
        <Show when=move || !live.get()>
            <ButtonLink
                href=href.get_value()
                variant=ButtonVariant::Ghost
                size=ButtonSize::Small
                glyph=Glyph::Compare
            >
                "Compare"
            </ButtonLink>
        </Show>
    }
}

/// Whole seconds while the run is live, the exact duration afterwards.
fn elapsed(run: LiveRun) -> String {
    let ms = run.elapsed.get();
    if run.state.read().phase.is_end() { format_duration(ms) } else { whole_seconds(ms) }
}

/// The format of a running time: a clock that ticks once a second has no tenths.
pub(super) fn whole_seconds(ms: u64) -> String {
    match ms / 1000 {
        seconds @ 0..60 => format!("{seconds} s"),
        _ => format_duration(ms),
    }
}

/// The details in the collapsed line: progress while the run is live, usage afterwards.
fn summary(run: LiveRun, compact: bool) -> impl IntoView {
    let (done, all, working, usage, warnings) = run.state.with(|state| {
        let done = state.steps.iter().filter(|step| step.status.is_end()).count();
        let working = state
            .steps
            .iter()
            .zip(&state.plan.steps)
            .find(|(step, _)| is_under_way(step))
            .map(|(_, planned)| planned.name.clone());
        (done, state.steps.len(), working, state.usage, state.warnings.len())
    });
    let live = run.is_live().get();
    // The run's page shows the parent among its facts.
    let forked = run.state.with(|state| state.parent.as_ref().filter(|_| !compact).map(|parent| parent.run));
    view! {
        {forked.map(|parent| view! { <span class="run-status-part">"forked from run " {parent.0}</span> })}
        {(live && all > 1).then(|| part(format!("{done} of {all} steps")))}
        {working.filter(|_| all > 1).map(|name| view! { <span class="run-status-part run-status-working">{name}</span> })}
        {(!live && all > 1).then(|| part(format!("{all} steps")))}
        {(usage.total() > 0).then(|| part(format!("{} tok", format_count(usage.total()))))}
        {usage.cost.map(|cost| part(cost.short()))}
        {match warnings {
            0 => None,
            1 => Some("1 warning".to_owned()),
            many => Some(format!("{many} warnings")),
        }
            .map(|text| view! { <span class="run-status-part run-status-warned">{text}</span> })}
    }
}

fn part(text: String) -> impl IntoView {
    view! { <span class="run-status-part">{text}</span> }
}

/// What a run that has not started waits for.
fn queued(run: LiveRun) -> Option<impl IntoView> {
    let (phase, position) = run.state.with(|state| (state.phase, state.queue_position));
    matches!(phase, Phase::Acknowledged | Phase::Queued).then(|| {
        let text = match position {
            0 => "It is stored and about to start.".to_owned(),
            1 => "It is stored; 1 other run was live when it came.".to_owned(),
            many => format!("It is stored; {many} other runs were live when it came."),
        };
        view! { <p class="run-status-queued">{text}</p> }
    })
}
