//! Previous comparisons, and a form to compare runs, which works without script.

use super::{compare_href, scores::AllScores, server::Overview};
use crate::{
    layout::PageHeader,
    ui::{
        Button, ButtonKind, ButtonLink, ButtonVariant, Column, EmptyState, Glyph, Pager, RelativeTime,
        RowLink, Status, StatusBadge, Table, format_count,
    },
};
use domain::{
    comparison::{ComparisonSummary, MOST_COMPARED},
    id::RunNumber,
    key::ProjectKey,
    view::RunSummary,
};
use leptos::prelude::*;

#[component]
pub fn OverviewPage(
    project: ProjectKey,
    overview: Overview,
    /// Runs that are preselected for the comparison.
    chosen: Vec<RunNumber>,
) -> impl IntoView {
    let Overview { comparisons, runs, scores, template } = overview;
    let base = format!("/p/{project}/compare");
    let filtered = template.map(|key| {
        view! {
            <p class="run-filters">
                <span>"Of template " <strong>{key.to_string()}</strong></span>
                <a class="link" href=base.clone()>"Show all"</a>
            </p>
        }
    });
    let next = comparisons.next.map(|cursor| format!("{base}?cursor={cursor}"));
    let none = comparisons.items.is_empty();
    let rows = comparisons.items.into_iter().map(|one| view! { <Before project=project.clone() one/> });
    let rows = rows.collect_view();
    let past = (!none).then(|| {
        view! {
            <h2 class="section-title">"Compared before"</h2>
            <Table
                label="Comparisons"
                columns=vec![
                    Column::new("Runs").tight(),
                    Column::new("Template"),
                    Column::new("By").wide_only(),
                    Column::new("Verdicts").num(),
                    Column::new("When").tight(),
                ]
            >
                {rows}
            </Table>
            <Pager next=Signal::stored(next)/>
        }
    });
    view! {
        <div class="compare-overview">
            <PageHeader
                title="Compare"
                subtitle="Runs side by side: the same input with other roles, or another version of a template."
            />
            {filtered}
            <Choose project=project.clone() base runs chosen/>
            {past}
            <AllScores project scores/>
        </div>
    }
    .into_any()
}

#[component]
fn Before(project: ProjectKey, one: ComparisonSummary) -> impl IntoView {
    let numbers: Vec<_> = one.runs.iter().map(ToString::to_string).collect();
    view! {
        <tr>
            <td class="mono tight">
                <RowLink href=compare_href(&project, &one.runs)>{numbers.join(", ")}</RowLink>
            </td>
            <td class="clip">{one.template}</td>
            <td class="clip wide-only">{one.by}</td>
            <td class="num">{one.verdicts}</td>
            <td class="tight muted"><RelativeTime at=one.created_at/></td>
        </tr>
    }
}

#[component]
fn Choose(
    project: ProjectKey,
    base: String,
    runs: Vec<(RunSummary, String)>,
    chosen: Vec<RunNumber>,
) -> impl IntoView {
    if runs.len() < 2 {
        let href = format!("/p/{project}/templates");
        let action = move || {
            view! { <ButtonLink href variant=ButtonVariant::Primary>"Choose a template"</ButtonLink> }
        };
        return view! {
            <EmptyState title="Nothing to compare yet" glyph=Glyph::Compare action>
                "Two runs can stand side by side. Execute a template with two assignments of roles, or twice."
            </EmptyState>
        }
        .into_any();
    }
    let rows = runs.into_iter().map(|(run, input)| {
        let number = run.number;
        let id = format!("run-{number}");
        let input_id = format!("{id}-input");
        view! {
            <tr>
                <td class="tight">
                    <input
                        type="checkbox"
                        name="run"
                        value=number.to_string()
                        id=id.clone()
                        aria-describedby=input_id.clone()
                        checked=chosen.contains(&number)
                    />
                </td>
                <td class="mono tight"><label for=id>"Run " {number.0}</label></td>
                <td class="tight"><StatusBadge status=Status::from(run.status) plain=true/></td>
                <td class="clip">
                    {run.template.name} " v" {run.template.version}
                    <span class="compare-input" id=input_id title=input.clone()>{input.clone()}</span>
                </td>
                <td class="num wide-only">{format_count(run.usage.total())}</td>
                <td class="tight muted"><RelativeTime at=run.created_at/></td>
            </tr>
        }
    });
    let rows = rows.collect_view();
    view! {
        <form method="get" action=base class="compare-choose">
            <h2 class="section-title">{format!("Choose 2 to {MOST_COMPARED} runs")}</h2>
            <Table
                label="Runs to choose from"
                columns=vec![
                    Column::new("Chosen").hidden(),
                    Column::new("Run").tight(),
                    Column::new("Status").tight(),
                    Column::new("Template and input"),
                    Column::new("Tokens").num().wide_only(),
                    Column::new("When").tight(),
                ]
            >
                {rows}
            </Table>
            <Button kind=ButtonKind::Submit variant=ButtonVariant::Primary glyph=Glyph::Compare>"Compare"</Button>
        </form>
    }
    .into_any()
}
