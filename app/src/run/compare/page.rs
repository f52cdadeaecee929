//! `/p/demo/compare?run=12&run=13`; without runs, the overview of comparisons and scores.

use super::{
    columns::Columns,
    list::OverviewPage,
    server::{Compared, Overview, list_comparisons, open_comparison},
};
use crate::{
    form::FaultPage,
    load::{draw, load},
    project::use_project,
    ui::{Skeleton, SkeletonShape},
};
use domain::{comparison::MOST_COMPARED, id::RunNumber, key::TemplateKey};
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;
use serde::{Deserialize, Serialize};

/// The parameters in the URL.
#[derive(Clone, PartialEq)]
enum Of {
    Runs(Vec<RunNumber>),
    Overview { template: Option<TemplateKey>, cursor: Option<String>, chosen: Vec<RunNumber> },
}

#[derive(Clone, Serialize, Deserialize)]
enum Drawn {
    Comparison(Compared),
    Overview { overview: Overview, chosen: Vec<RunNumber> },
}

#[component]
pub fn ComparePage() -> impl IntoView {
    let project = use_project();
    let query = use_query_map();
    // In the order of the URL, without repetition.
    let runs = Memo::new(move |_| {
        let mut runs: Vec<RunNumber> = Vec::new();
        for text in query.read().get_all("run").unwrap_or_default() {
            match text.trim().parse().map(RunNumber) {
                Ok(run) if !runs.contains(&run) && runs.len() < MOST_COMPARED => runs.push(run),
                _ => {}
            }
        }
        runs
    });
    let of = Memo::new(move |_| {
        let query = query.read();
        let runs = runs.get();
        if runs.len() < 2 {
            let template = query.get("template").and_then(|key| TemplateKey::parse(&key).ok());
            return Of::Overview { template, cursor: query.get("cursor"), chosen: runs };
        }
        Of::Runs(runs)
    });
    let drawn = load(
        move || (project.get(), of.get()),
        |(project, of)| async move {
            match of {
                Of::Runs(runs) => open_comparison(project, runs).await.map(Drawn::Comparison),
                Of::Overview { template, cursor, chosen } => {
                    let overview = list_comparisons(project, template, cursor).await?;
                    Ok(Drawn::Overview { overview, chosen })
                }
            }
        },
    );
    view! {
        <Transition fallback=|| view! { <Skeleton shape=SkeletonShape::Card count=3/> }>
            {draw(drawn, move |answer| match answer {
                Ok(Drawn::Comparison(compared)) => {
                    view! { <Columns project=project.get_untracked() compared/> }.into_any()
                }
                Ok(Drawn::Overview { overview, chosen }) => {
                    view! { <OverviewPage project=project.get_untracked() overview chosen/> }.into_any()
                }
                Err(fault) => view! { <FaultPage fault/> }.into_any(),
            })}
        </Transition>
    }
    .into_any()
}
