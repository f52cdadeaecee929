//! The page of a run: steps, roles, times, inputs and outcome. The URL holds the tab and the step.

use super::{
    events::{Events, EventsPage, load_events},
    files::{Files, load_files},
    graph::Graph,
    inputs::Inputs,
    panel::StepPanel,
    server::{self, draw_report, open_run},
    status::Status,
    timeline::Timeline,
    travel::TimeTravel,
};
use crate::{
    fault::{self, Fault},
    form::FaultPage,
    layout::PageHeader,
    live::{LiveRun, use_live},
    load::{Loaded, draw, draw_in_place, load},
    project::use_project,
    ui::{
        Button, ButtonSize, Glyph, RelativeTime, RoleChip, Skeleton, SkeletonShape, Tab, Tabs, format_count,
        tell_times,
    },
};
use domain::{
    id::{RunNumber, StepRunId},
    key::{ProjectKey, RoleKey},
    run::RunState,
};
use leptos::{html, prelude::*};
use leptos_router::hooks::{use_params_map, use_query_map};

/// The tabs of the page; the URL names the open one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Steps,
    Graph,
    Files,
    Io,
    Events,
    Report,
}

impl Part {
    const ALL: [Self; 6] = [Self::Steps, Self::Graph, Self::Files, Self::Io, Self::Events, Self::Report];

    fn as_str(self) -> &'static str {
        match self {
            Self::Steps => "steps",
            Self::Graph => "graph",
            Self::Files => "files",
            Self::Io => "io",
            Self::Events => "events",
            Self::Report => "report",
        }
    }

    fn label(self) -> &'static str {
        match self {
            Self::Steps => "Steps",
            Self::Graph => "Graph",
            Self::Files => "Files",
            Self::Io => "Input and output",
            Self::Events => "Events",
            Self::Report => "Report",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|part| part.as_str() == text)
    }

    fn tab(self) -> Tab {
        Tab::new(self.as_str(), self.label(), format!("?tab={}", self.as_str()))
    }
}

#[component]
pub fn RunPage() -> impl IntoView {
    let project = use_project();
    let params = use_params_map();
    let number =
        Memo::new(move |_| params.read().get("number").and_then(|number| number.parse().ok()).map(RunNumber));
    let drawn = load(
        move || (project.get(), number.get()),
        |(project, number)| async move {
            match number {
                Some(number) => open_run(project, number).await,
                None => Err(Fault::NotFound { message: "a run's address ends with its number".to_owned() }),
            }
        },
    );
    let query = use_query_map();
    let part =
        Memo::new(move |_| query.read().get("tab").and_then(|tab| Part::parse(&tab)).unwrap_or(Part::Steps));
    let events = load_events(project, number, Memo::new(move |_| part.get() == Part::Events));
    let writes = RwSignal::new(None::<u32>);
    let files = load_files(project, number, Memo::new(move |_| part.get() == Part::Files), writes);
    let report = load_report(project, number, Memo::new(move |_| part.get() == Part::Report));
    view! {
        <Transition fallback=|| view! { <Skeleton shape=SkeletonShape::Rows count=6/> }>
            {draw(drawn, move |answer| match answer {
                Ok(page) => view! { <Run project=project.get_untracked() page part writes events files report/> }.into_any(),
                Err(fault) => view! { <FaultPage fault/> }.into_any(),
            })}
        </Transition>
    }
    .into_any()
}

#[component]
fn Run(
    project: ProjectKey,
    page: server::RunPage,
    part: Memo<Part>,
    /// Number of the run's file writes up to the shown event; `None` outside time travel.
    writes: RwSignal<Option<u32>>,
    events: Loaded<Option<EventsPage>>,
    files: Loaded<Option<fault::Result<String>>>,
    report: Loaded<Option<fault::Result<String>>>,
) -> impl IntoView {
    let query = use_query_map();
    let step = Memo::new(move |_| query.read().get("step").and_then(|step| step.parse::<StepRunId>().ok()));
    let now = page.now;
    let summary = page.detail.summary.clone();
    let number = summary.number;
    let run = use_live().follow(&project, page.detail, now);
    let (now_run, past) = (run, RwSignal::new(None::<LiveRun>));
    Effect::new(move |_| {
        let then = past.get().map(|run| run.state.read().files.iter().map(|file| file.writes).sum::<u32>());
        if writes.get_untracked() != then {
            writes.set(then);
        }
    });
    let written = Memo::new(move |_| run.state.read().files.len() as u64);
    let tabs = Signal::derive(move || {
        let tab = |part: Part| match (part, written.get()) {
            (Part::Files, files @ 1..) => part.tab().count(files),
            _ => part.tab(),
        };
        Part::ALL.map(tab).to_vec()
    });
    let conversation = format!("/p/{project}/conversations/{}#m-{}", summary.task, summary.message);
    let from = run.state.with_untracked(|state| origins(&project, state));
    let template = summary.template;
    let named = format!("{} v{}", template.name, template.version);
    let template = if template.key.as_ref() == super::ASK {
        view! { <span>{template.name}</span> }.into_any()
    } else {
        let href = format!("/p/{project}/templates/{}?version={}", template.key, template.version);
        view! { <a class="link" href=href>{named}</a> }.into_any()
    };
    let project = StoredValue::new(project);
    view! {
        <div class="run">
            <PageHeader title=format!("Run {number}")>
                <dl class="run-facts">
                    <div><dt>"Template"</dt><dd>{template}</dd></div>
                    {from}
                    <div><dt>"Started by"</dt><dd>{summary.by}</dd></div>
                    <div><dt>"When"</dt><dd><RelativeTime at=summary.created_at/></dd></div>
                    <div><dt>"Tokens"</dt><dd class="mono">{move || usage(run)}</dd></div>
                    {move || cost(run)}
                    <div><dt>"Roles"</dt><dd class="run-roles">{move || roles(run)}</dd></div>
                    <div><dt>"Where"</dt><dd><a class="link" href=conversation>"Its conversation"</a></dd></div>
                </dl>
                <Status project=project.get_value() run compact=true may_edit=page.may_edit/>
            </PageHeader>
            <Tabs
                label="Parts of the run"
                tabs
                current=Signal::derive(move || part.get().as_str().to_owned())
            />
            <TimeTravel project=project.get_value() run=now_run past/>
            {move || {
                let run = past.get().unwrap_or(now_run);
                match part.get() {
                Part::Steps => {
                    view! {
                        <div class="run-part">
                            <Timeline project=project.get_value() run chosen=step/>
                            {move || {
                                step.get()
                                    .map(|id| view! { <StepPanel project=project.get_value() run id/> })
                            }}
                        </div>
                    }
                        .into_any()
                }
                Part::Graph => {
                    view! {
                        <div class="run-part">
                            <Graph run chosen=step/>
                            {move || {
                                step.get()
                                    .map(|id| view! {
                                        <StepPanel project=project.get_value() run id close_href="?tab=graph"/>
                                    })
                            }}
                        </div>
                    }
                        .into_any()
                }
                Part::Files => view! { <Files run files/> }.into_any(),
                Part::Io => view! { <Inputs project=project.get_value() run/> }.into_any(),
                Part::Events => view! { <Events project=project.get_value() run events/> }.into_any(),
                Part::Report => view! { <Report report/> }.into_any(),
                }
            }}
        </div>
    }
    .into_any()
}

/// Loads the run's report while its tab is open (`shown`).
fn load_report(
    project: Memo<ProjectKey>,
    number: Memo<Option<RunNumber>>,
    shown: Memo<bool>,
) -> Loaded<Option<fault::Result<String>>> {
    let asked =
        Memo::new(move |_| number.get().filter(|_| shown.get()).map(|number| (project.get(), number)));
    load(
        move || asked.get(),
        |asked| async move {
            let (project, number) = asked?;
            Some(draw_report(project, number).await)
        },
    )
}

/// The printable report: the server's HTML, inserted verbatim. The server has escaped all texts of users and models.
#[component]
fn Report(report: Loaded<Option<fault::Result<String>>>) -> impl IntoView {
    let print = move || {
        // Does nothing in a browser that cannot print.
        _ = window().print();
    };
    let drawn = NodeRef::<html::Div>::new();
    Effect::new(move |_| {
        if let Some(drawn) = drawn.get() {
            tell_times(&drawn);
        }
    });
    view! {
        <div class="report-bar">
            <Button size=ButtonSize::Small glyph=Glyph::File on_click=print>"Print or save as PDF"</Button>
        </div>
        <Transition fallback=|| view! { <Skeleton shape=SkeletonShape::Rows count=6/> }>
            {draw_in_place(report, move |answer| match answer {
                Some(Ok(html)) => view! { <div node_ref=drawn inner_html=html></div> }.into_any(),
                Some(Err(fault)) => view! { <FaultPage fault/> }.into_any(),
                None => ().into_any(),
            })}
        </Transition>
    }
    .into_any()
}

/// The run that this one was forked from, and the step that launched it.
fn origins(project: &ProjectKey, state: &RunState) -> impl IntoView + use<> {
    let link = |run: RunNumber, step: Option<StepRunId>| {
        let step = step.map(|step| format!("?step={step}")).unwrap_or_default();
        view! { <a class="link" href=format!("/p/{project}/runs/{run}{step}")>"run " {run.0}</a> }
    };
    let forked = state.parent.as_ref().map(|parent| {
        view! { <div><dt>"Forked from"</dt><dd>{link(parent.run, None)} " at " {parent.from_step.clone()}</dd></div> }
    });
    let called = state.caller.as_ref().map(|caller| {
        view! {
            <div><dt>"Called by"</dt><dd>{link(caller.run, Some(caller.step))} ", step " {caller.name.clone()}</dd></div>
        }
    });
    (forked, called)
}

fn usage(run: LiveRun) -> String {
    let usage = run.state.read().usage;
    format!("{} in, {} out", format_count(usage.input_tokens), format_count(usage.output_tokens))
}

/// Shown only if the whole cost is known.
fn cost(run: LiveRun) -> impl IntoView {
    run.state.read().usage.cost.map(|cost| {
        let exact = format!("{cost} US dollars, at the prices of when it began");
        view! { <div><dt>"Cost"</dt><dd class="mono" title=exact>{cost.short()}</dd></div> }
    })
}

/// The roles without repetition, in the order of the steps.
fn roles(run: LiveRun) -> impl IntoView {
    let mut keys: Vec<RoleKey> = Vec::new();
    for role in run.state.read().steps.iter().filter_map(|step| step.role.as_ref()) {
        if !keys.contains(&role.key) {
            keys.push(role.key.clone());
        }
    }
    keys.into_iter().map(|key| view! { <RoleChip role=key.to_string()/> }).collect_view()
}
