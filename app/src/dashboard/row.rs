//! A live run as a row: its step, progress, role, start time, and the Stop button.

use super::server::StopLiveRun;
use crate::{
    live::use_live,
    run::ASK,
    ui::{Button, ButtonKind, ButtonSize, Glyph, RoleChip, RowLink, Status, StatusBadge, format_duration},
};
use domain::{
    id::{RunNumber, Timestamp},
    key::ProjectKey,
    view::{LiveRunSummary, StepCounts},
};
use leptos::{form::ActionForm, prelude::*};

/// Width of a bar in its own units; the drawing stretches to the available width.
const WIDTH: u32 = 1000;

#[component]
pub fn LiveRow(
    project: ProjectKey,
    number: RunNumber,
    live: Memo<Option<LiveRunSummary>>,
    now: Timestamp,
    may_edit: bool,
    stop: ServerAction<StopLiveRun>,
) -> impl IntoView {
    let first = live.with_untracked(|live| live.as_ref().map(|live| live.run.clone()));
    let Some(run) = first else { return ().into_any() };
    let status = Memo::new(move |_| {
        live.with(|live| live.as_ref().map_or(Status::Queued, |live| live.run.status.into()))
    });
    let steps =
        Memo::new(move |_| live.with(|live| live.as_ref().map(|live| live.steps).unwrap_or_default()));
    let place = Memo::new(move |_| {
        live.with(|live| live.as_ref().map(|live| (live.step.clone(), live.role.clone())).unwrap_or_default())
    });
    let clock = use_live().clock();
    let took = move || format_duration(clock.get().unwrap_or(now).since(run.created_at) / 1000 * 1000);
    let template = if run.template.key.as_ref() == ASK {
        run.template.name.clone()
    } else {
        format!("{} v{}", run.template.name, run.template.version)
    };
    let busy = stop.pending();
    view! {
        <tr>
            <td class="tight"><StatusBadge status plain=true/></td>
            <td class="clip">
                <RowLink href=format!("/p/{project}/runs/{number}")>
                    <span class="mono">{number.0}</span> " " {template}
                </RowLink>
            </td>
            <td class="tight">{move || progress(steps.get())}</td>
            <td class="wide-only dashboard-now">
                {move || {
                    let (step, role) = place.get();
                    (step, role.map(|role| view! { <RoleChip role=role.to_string()/> }))
                }}
            </td>
            <td class="muted clip wide-only">{run.by}</td>
            <td class="num">{took}</td>
            <td class="tight">
                {may_edit
                    .then(|| {
                        view! {
                            <ActionForm action=stop>
                                <input type="hidden" name="project" value=project.to_string()/>
                                <input type="hidden" name="run" value=number.to_string()/>
                                <Button
                                    kind=ButtonKind::Submit
                                    size=ButtonSize::Small
                                    glyph=Glyph::Stop
                                    title=format!("Stop run {number}")
                                    busy
                                >
                                    "Stop"
                                </Button>
                            </ActionForm>
                        }
                    })}
            </td>
        </tr>
    }
    .into_any()
}

/// A bar of the steps by status, and the number of finished ones.
fn progress(steps: StepCounts) -> AnyView {
    let StepCounts { total, done, running, waiting, failed } = steps;
    let whole = total.max(1);
    let mut before = 0;
    let parts = [("done", done), ("failed", failed), ("running", running), ("waiting", waiting)];
    let bars = parts.map(|(class, count)| {
        let x = before * WIDTH / whole;
        before += count;
        let width = before * WIDTH / whole - x;
        view! { <rect class=format!("progress-{class}") x=x y="0" width=width height="6"></rect> }
    });
    view! {
        <span class="progress">
            <svg class="progress-bar" viewBox=format!("0 0 {WIDTH} 6") preserveAspectRatio="none" aria-hidden="true">
                {bars.collect_view()}
            </svg>
            <span class="progress-words">{done} " of " {total} <span class="visually-hidden">" steps"</span></span>
        </span>
    }
    .into_any()
}
