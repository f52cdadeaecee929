//! `/p/demo/compare?run=12&run=13`; without runs, what there is to compare and what came of it.

use super::{
    columns::Columns,
    list::OverviewPage,
    server::{list_comparisons, open_comparison},
};
use crate::{
    form::FaultPage,
    load::load,
    project::use_project,
    ui::{Skeleton, SkeletonShape},
};
use domain::{
    comparison::MOST_COMPARED,
    id::RunNumber,
    key::{ProjectKey, TemplateKey},
};
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;

#[component]
pub fn ComparePage() -> impl IntoView {
    let project = use_project();
    let query = use_query_map();
    // In the order of the address, each once.
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
    let compared = load(
        move || (project.get(), runs.get()),
        |(project, runs)| async move {
            if runs.len() < 2 { None } else { Some(open_comparison(project, runs).await) }
        },
    );
    let of = Memo::new(move |_| {
        let query = query.read();
        let template = query.get("template").and_then(|key| TemplateKey::parse(&key).ok());
        (runs.read().len() < 2).then(|| (template, query.get("cursor")))
    });
    let overview = load(
        move || (project.get(), of.get()),
        |(project, of): (ProjectKey, _)| async move {
            let (template, cursor) = of?;
            Some(list_comparisons(project, template, cursor).await)
        },
    );
    view! {
        <Transition fallback=|| view! { <Skeleton shape=SkeletonShape::Card count=3/> }>
            {move || Suspend::new(async move {
                let project = project.get_untracked();
                match (compared.await, overview.await) {
                    (Some(Ok(compared)), _) => view! { <Columns project compared/> }.into_any(),
                    (_, Some(Ok(overview))) => {
                        view! { <OverviewPage project overview chosen=runs.get_untracked()/> }.into_any()
                    }
                    (Some(Err(fault)), _) | (_, Some(Err(fault))) => view! { <FaultPage fault/> }.into_any(),
                    (None, None) => ().into_any(),
                }
            })}
        </Transition>
    }
    .into_any()
}
