//! Totals: per role for the compared runs, and per role, model and template version for all verdicts.

use super::columns::Table;
use crate::ui::{Column, RoleChip, Table as UiTable, format_count, format_duration};
use domain::{
    comparison::{Score, Scores},
    key::{ProjectKey, RoleKey},
    price::Money,
    usage::Usage,
};
use leptos::prelude::*;

/// The usage and time of each role in all of these runs, in the order of the steps.
#[component]
pub fn RoleTotals(table: Table) -> impl IntoView {
    let totals = Memo::new(move |_| {
        let mut totals: Vec<(RoleKey, u32, u64, Usage)> = Vec::new();
        for run in table.runs.get_value() {
            for step in &run.state.read().steps {
                let Some(role) = &step.role else { continue };
                let took = step.started_at().zip(step.finished_at()).map_or(0, |(from, to)| to.since(from));
                let place = totals.iter().position(|total| total.0 == role.key).unwrap_or_else(|| {
                    totals.push((role.key.clone(), 0, 0, Usage::default()));
                    totals.len() - 1
                });
                let total = &mut totals[place];
                total.1 += u32::from(took > 0);
                total.2 += took;
                total.3 += step.usage;
            }
        }
        totals
    });
    // Without any price, no costs are shown.
    let priced = Memo::new(move |_| totals.read().iter().any(|(.., usage)| usage.cost.is_some()));
    let row = move |(role, steps, took, usage): (RoleKey, u32, u64, Usage)| {
        let cost = usage.cost.map_or("not known".to_owned(), Money::short);
        view! {
            <tr>
                <td><RoleChip role=role.to_string()/></td>
                <td class="num">{steps}</td>
                <td class="num">{format_duration(took)}</td>
                <td class="num">{format_count(usage.total())}</td>
                {priced.get().then(|| view! { <td class="num">{cost}</td> })}
            </tr>
        }
    };
    let table = move || {
        let cost = priced.get().then(|| Column::new("Cost").num());
        let columns: Vec<_> = [
            Column::new("Role"),
            Column::new("Steps").num(),
            Column::new("Took").num(),
            Column::new("Tokens").num(),
        ]
        .into_iter()
        .chain(cost)
        .collect();
        view! {
            <UiTable label="Totals per role" columns>
                {move || totals.get().into_iter().map(row).collect_view()}
            </UiTable>
        }
    };
    view! {
        <h2 class="section-title">"Per role"</h2>
        {table}
    }
    .into_any()
}

/// Wins per role and step, per model and per version; empty before the first verdict.
#[component]
pub fn AllScores(project: ProjectKey, scores: Scores) -> impl IntoView {
    let Scores { roles, models, versions } = scores;
    if versions.is_empty() {
        return ().into_any();
    }
    let columns = |first: Vec<Column>| {
        let counts = ["Won", "Same", "Lost"].map(|label| Column::new(label).num());
        first.into_iter().chain(counts).collect::<Vec<_>>()
    };
    let counts = |score: &Score| {
        let (won, same, lost) = (score.won, score.same, score.lost);
        view! { <td class="num">{won}</td><td class="num">{same}</td><td class="num">{lost}</td> }
    };
    let role_rows = roles.into_iter().map(|one| {
        let href = format!("/p/{project}/templates/{}", one.template);
        view! {
            <tr>
                <td class="clip"><a class="link" href=href>{one.template.to_string()}</a></td>
                <td class="clip">{one.step}</td>
                <td><RoleChip role=one.role/></td>
                {counts(&one.score)}
            </tr>
        }
    });
    let role_rows = role_rows.collect_view();
    let model_rows = models.into_iter().map(|one| {
        view! { <tr><td class="mono clip">{one.model}</td>{counts(&one.score)}</tr> }
    });
    let model_rows = model_rows.collect_view();
    let version_rows = versions.into_iter().map(|one| {
        let href = format!("/p/{project}/templates/{}?version={}", one.template, one.version);
        view! {
            <tr>
                <td class="clip"><a class="link" href=href>{one.template.to_string()} " v" {one.version}</a></td>
                {counts(&one.score)}
            </tr>
        }
    });
    let version_rows = version_rows.collect_view();
    view! {
        <h2 class="section-title">"What the verdicts come to"</h2>
        <UiTable
            label="Which role wins at which step"
            columns=columns(vec![Column::new("Template"), Column::new("Step"), Column::new("Role")])
        >
            {role_rows}
        </UiTable>
        <div class="compare-scores">
            <UiTable label="Models" columns=columns(vec![Column::new("Model")])>{model_rows}</UiTable>
            <UiTable label="Template versions" columns=columns(vec![Column::new("Version")])>
                {version_rows}
            </UiTable>
        </div>
        <p class="muted">
            "A verdict on the whole counts for the roles of those steps in which the runs had different ones."
        </p>
    }
    .into_any()
}
