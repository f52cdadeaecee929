//! The dashboard page. It reloads its data when the project changes, and every few seconds while a run is live,
//! because steps start and end without a change of the run's status. Rows of runs that remain are updated in place.

use super::{
    row::LiveRow,
    server::{Drawn, StopLiveRun, open_dashboard},
};
use crate::{
    form::FaultPage,
    layout::PageHeader,
    live::{Refresh, use_live},
    load::{draw, load},
    project::use_project,
    ui::{
        ButtonLink, ButtonVariant, Column, EmptyState, Glyph, Skeleton, SkeletonShape, Status, StatusBadge,
        Table, use_clock, use_toasts,
    },
};
use domain::{
    key::ProjectKey,
    run::RunStatus,
    view::{Dashboard, LiveRunSummary, Outcomes, ProviderQueue},
};
use leptos::{prelude::*, task::spawn_local};

/// Interval of reloading while runs are live, in seconds.
const EVERY: u32 = 2;

#[component]
pub fn DashboardPage() -> impl IntoView {
    let project = use_project();
    let drawn = load(
        move || project.get(),
        |project| async move {
            let drawn = open_dashboard(project.clone()).await?;
            Ok::<_, crate::fault::Fault>((project, drawn))
        },
    );
    view! {
        <Transition fallback=|| view! { <Skeleton shape=SkeletonShape::Rows count=8/> }>
            {draw(drawn, move |answer| match answer {
                Ok((project, drawn)) => view! { <LiveDashboard project drawn/> }.into_any(),
                Err(fault) => view! { <FaultPage fault/> }.into_any(),
            })}
        </Transition>
    }
    .into_any()
}

#[component]
fn LiveDashboard(project: ProjectKey, drawn: Drawn) -> impl IntoView {
    let (now, may_edit, changes) = (drawn.now, drawn.may_edit, drawn.changes);
    let shown = RwSignal::new(drawn.shown);
    let key = StoredValue::new(project.clone());
    let refresh = Refresh::new(move || {
        spawn_local(async move {
            // After a failed reload, the next change or interval reloads again.
            if let Ok(drawn) = open_dashboard(key.get_value()).await {
                _ = shown.try_set(drawn.shown);
            }
        });
    });
    use_live().watch(&project, changes, move |change| {
        if change.subject.is_run() {
            refresh.soon();
        }
    });
    read_now_and_then(shown, refresh);
    let stop = ServerAction::<StopLiveRun>::new();
    let toasts = use_toasts();
    Effect::new(move |_| match stop.value().get() {
        Some(Ok(run)) => {
            toasts.info(format!("Run {run} is stopped"));
            refresh.soon();
        }
        Some(Err(fault)) => toasts.error(fault.to_string()),
        None => {}
    });
    let numbers = Memo::new(move |_| {
        shown.with(|shown| shown.runs.iter().map(|live| live.run.number).collect::<Vec<_>>())
    });
    let templates = StoredValue::new(format!("/p/{project}/templates"));
    let action = move || {
        view! {
            <ButtonLink href=templates.get_value() variant=ButtonVariant::Primary>"Choose a template"</ButtonLink>
        }
    };
    let more = Memo::new(move |_| shown.with(|shown| shown.live.saturating_sub(shown.runs.len() as u32)));
    let runs_href = StoredValue::new(format!("/p/{project}/runs"));
    view! {
        <div class="dashboard">
            <PageHeader title="Live runs" subtitle="Everything that is under way in this project."/>
            <div class="dashboard-facts">
                {move || counts(&shown.read())}
                {move || outcomes(shown.read().last_hour)}
                {move || shown.read().providers.iter().map(provider).collect_view()}
            </div>
            <Show
                when=move || !numbers.read().is_empty()
                fallback=move || {
                    view! {
                        <EmptyState title="Nothing is running" glyph=Glyph::Running action>
                            "Every run that is queued, running or waiting for a person stands here, with its progress and a way to stop it."
                        </EmptyState>
                    }
                }
            >
                <Table
                    label="Live runs"
                    columns=vec![
                        Column::new("Status").tight(),
                        Column::new("Run"),
                        Column::new("Progress").tight(),
                        Column::new("Now").wide_only(),
                        Column::new("Started by").wide_only(),
                        Column::new("For").num(),
                        Column::new("Stop").hidden(),
                    ]
                >
                    <For each=move || numbers.get() key=|number| *number let:number>
                        {
                            let live = Memo::new(move |before: Option<&Option<LiveRunSummary>>| {
                                let now = shown.with(|shown| {
                                    shown.runs.iter().find(|live| live.run.number == number).cloned()
                                });
                                // A row that is about to be removed keeps its content.
                                now.or_else(|| before.cloned().flatten())
                            });
                            view! { <LiveRow project=key.get_value() number live now may_edit stop/> }
                        }
                    </For>
                </Table>
            </Show>
            {move || {
                (more.get() > 0)
                    .then(|| {
                        view! {
                            <p class="dashboard-more">
                                {more.get()} " more are live. " <a class="link" href=runs_href.get_value()>"All runs"</a>
                            </p>
                        }
                    })
            }}
        </div>
    }
    .into_any()
}

/// Reloads at intervals while runs are live and the tab is visible.
fn read_now_and_then(shown: RwSignal<Dashboard>, refresh: Refresh) {
    let clock = use_clock();
    let seconds = StoredValue::new(0_u32);
    Effect::new(move |_| {
        if clock.second().is_none() || document().hidden() || shown.with_untracked(|shown| shown.live == 0) {
            return;
        }
        seconds.update_value(|seconds| *seconds += 1);
        if seconds.get_value().is_multiple_of(EVERY) {
            refresh.soon();
        }
    });
}

fn counts(shown: &Dashboard) -> AnyView {
    let of = |status: RunStatus| shown.runs.iter().filter(|live| live.run.status == status).count();
    let count = |status: RunStatus| {
        view! {
            <span class="dashboard-count">
                <StatusBadge status=Status::from(status) icon_only=true/>
                <b>{of(status)}</b>
                " "
                {Status::from(status).label().to_lowercase()}
            </span>
        }
    };
    view! {
        <p class="dashboard-fact">
            {[RunStatus::Running, RunStatus::Queued, RunStatus::Waiting].map(count).collect_view()}
        </p>
    }
    .into_any()
}

fn outcomes(past: Outcomes) -> AnyView {
    let Outcomes { completed, failed, cancelled } = past;
    let count = |status: Status, count: u32, word: &'static str| {
        (count > 0).then(|| {
            view! {
                <span class="dashboard-count"><StatusBadge status icon_only=true/><b>{count}</b> " " {word}</span>
            }
        })
    };
    view! {
        <p class="dashboard-fact">
            <span class="muted">"Last hour"</span>
            {(completed + failed + cancelled == 0).then_some("nothing ended")}
            {count(Status::Completed, completed, "completed")}
            {count(Status::Failed, failed, "failed")}
            {count(Status::Cancelled, cancelled, "cancelled")}
        </p>
    }
    .into_any()
}

fn provider(queue: &ProviderQueue) -> AnyView {
    let ProviderQueue { key, active, queued, most } = queue;
    let title = format!("It may have {most} calls at once");
    view! {
        <p class="dashboard-fact" title=title>
            <span class="muted">{key.to_string()}</span>
            <span class="dashboard-count"><b>{*active}</b> " calls under way"</span>
            {(*queued > 0).then(|| view! { <span class="dashboard-count dashboard-queued"><b>{*queued}</b> " wait for a slot"</span> })}
        </p>
    }
    .into_any()
}
