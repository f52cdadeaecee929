//! The comparison: a column per run with its head, a row per step, and the verdicts.

use super::{
    letter,
    scores::RoleTotals,
    server::{Compared, list_verdicts},
    step::StepCell,
    verdict::Judge,
};
use crate::{
    layout::{PageHeader, use_crumb},
    live::{LiveRun, Refresh, use_live},
    run::{stop::Stop, words::run_status},
    ui::{StatusBadge, format_count, format_duration},
};
use domain::{comparison::Verdict, id::RunNumber, key::ProjectKey, price::Money, view::RunSummary};
use leptos::{prelude::*, task::spawn_local};

/// Up to this many steps, differences are shown without a click.
const OPEN_STEPS: usize = 8;

/// The data that rows and columns share.
#[derive(Clone, Copy)]
pub struct Table {
    pub project: StoredValue<ProjectKey>,
    pub runs: StoredValue<Vec<LiveRun>>,
    pub verdicts: RwSignal<Vec<Verdict>>,
    pub may_edit: bool,
    /// Whether differences are shown without a click.
    pub open: bool,
}

impl Table {
    pub fn numbers(self) -> Vec<RunNumber> {
        self.runs.with_value(|runs| runs.iter().map(|run| run.number).collect())
    }

    pub fn reload_verdicts(self) {
        let (project, runs) = (self.project.get_value(), self.numbers());
        spawn_local(async move {
            if let Ok(verdicts) = list_verdicts(project, runs).await {
                _ = self.verdicts.try_set(verdicts);
            }
        });
    }
}

#[component]
pub fn Columns(project: ProjectKey, compared: Compared) -> impl IntoView {
    let Compared { runs: pages, verdicts, changes } = compared;
    let may_edit = pages.iter().all(|page| page.may_edit);
    let summaries: Vec<_> = pages.iter().map(|page| page.detail.summary.clone()).collect();
    let steps = steps_of(pages.iter().map(|page| &page.detail.state));
    let live = use_live();
    let runs: Vec<_> = pages.into_iter().map(|page| live.follow(&project, page.detail, page.now)).collect();
    let table = Table {
        project: StoredValue::new(project.clone()),
        runs: StoredValue::new(runs.clone()),
        verdicts: RwSignal::new(verdicts),
        may_edit,
        open: steps.len() <= OPEN_STEPS,
    };
    let refresh = Refresh::new(move || table.reload_verdicts());
    live.watch(&project, changes, move |change| {
        if change.subject.is_comparison() {
            refresh.soon();
        }
    });
    let names: Vec<_> = table.numbers().iter().map(|run| run.0.to_string()).collect();
    let title = match names.split_last() {
        Some((last, rest)) => format!("Runs {} and {last}", rest.join(", ")),
        None => String::new(),
    };
    let crumb = title.clone();
    use_crumb(move || Some(crumb.clone()));
    let heads = runs.iter().copied().zip(summaries).enumerate();
    let heads =
        heads.map(|(column, (run, summary))| view! { <Head table column run summary/> }).collect_view();
    let rows = steps.iter().map(|name| view! { <Row table name=name.clone()/> }).collect_view();
    view! {
        <div class=format!("compare compare-{}", runs.len())>
            <PageHeader title/>
            <div class="compare-row compare-heads">{heads}</div>
            {rows}
            <section class="compare-step" aria-label="On the whole">
                <h2 class="section-title">"On the whole"</h2>
                <Judge table step=None/>
            </section>
            <RoleTotals table/>
        </div>
    }
    .into_any()
}

/// The names of all runs' steps without repetition, those of the first run first.
fn steps_of<'s>(states: impl Iterator<Item = &'s domain::run::RunState>) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for planned in states.flat_map(|state| &state.plan.steps) {
        if !names.contains(&planned.name) {
            names.push(planned.name.clone());
        }
    }
    names
}

#[component]
fn Head(table: Table, column: usize, run: LiveRun, summary: RunSummary) -> impl IntoView {
    let project = table.project.get_value();
    let status = Memo::new(move |_| run.state.with(run_status));
    let first = table.runs.with_value(|runs| runs[0]);
    let against = move |mine: u64, its: u64, words: fn(u64) -> String| {
        (column > 0 && mine != its).then(|| {
            let sign = if mine > its { '+' } else { '−' };
            view! { <span class="compare-delta">{sign} {words(mine.abs_diff(its))}</span> }
        })
    };
    let tokens = move |run: LiveRun| run.state.read().usage.total();
    let cost_of = move |run: LiveRun| run.state.read().usage.cost;
    view! {
        <section class="compare-head" aria-label=format!("Run {}", run.number.0)>
            <h2>
                <span class="compare-letter">{letter(column).to_string()}</span>
                <a class="link" href=format!("/p/{project}/runs/{}", run.number)>"Run " {run.number.0}</a>
                <span class="muted">{summary.template.name} " v" {summary.template.version}</span>
            </h2>
            <div class="compare-facts">
                <StatusBadge status plain=true/>
                <span>
                    {move || format_duration(run.elapsed.get())}
                    {move || against(run.elapsed.get(), first.elapsed.get(), format_duration)}
                </span>
                <span>
                    {move || format_count(tokens(run))} " tok"
                    {move || against(tokens(run), tokens(first), format_count)}
                </span>
                {move || {
                    let cost = cost_of(run)?;
                    let first = cost_of(first).unwrap_or(cost);
                    let delta = against(cost.0, first.0, |nano| Money(nano).short());
                    Some(view! { <span>{cost.short()} {delta}</span> })
                }}
                <Stop project run/>
            </div>
        </section>
    }
    .into_any()
}

#[component]
fn Row(table: Table, name: String) -> impl IntoView {
    let cells = table.runs.get_value().into_iter().enumerate();
    let label = name.clone();
    let cells =
        cells.map(|(column, run)| view! { <StepCell table column run name=name.clone()/> }).collect_view();
    view! {
        <section class="compare-step" aria-label=label.clone()>
            <h2 class="section-title">{label.clone()}</h2>
            <div class="compare-row">{cells}</div>
            <Judge table step=Some(name)/>
        </section>
    }
    .into_any()
}
