//! The page of a template: its steps, its text, its versions, and its actions.

use super::{
    address::use_template,
    editor::forget_draft,
    flow::{Flow, step_id},
    server::{DeleteTemplate, DuplicateTemplate, Shown, compare_versions, show_template},
    versions::{Pair, Versions, pair_of},
};
use crate::{
    canvas::{Canvas, Scene},
    fault,
    form::{FaultNotice, FaultPage, fault_of, sentence},
    layout::{PageHeader, use_crumb},
    load::{Loaded, draw, load},
    project::{use_may_edit, use_project},
    ui::{
        Badge, ButtonLink, ButtonVariant, CodeBlock, ConfirmDialog, Glyph, Menu, MenuItem, Notice, Skeleton,
        SkeletonShape, Tab, Tabs, Tone,
    },
};
use domain::{
    key::{ProjectKey, TemplateKey},
    plan::Plan,
    problem::Problem,
    template::{Template, unsupported},
    view::TemplateDetail,
};
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;

#[component]
pub fn TemplatePage() -> impl IntoView {
    let (project, at) = (use_project(), use_template());
    let shown =
        load(move || (project.get(), at.get()), |(project, at)| show_template(project, at.key, at.version));
    let query = use_query_map();
    let pair = Memo::new(move |_| {
        let query = query.read();
        pair_of(query.get("from"), query.get("to"))
    });
    let changes = load(
        move || (project.get(), at.get().key, pair.get()),
        |(project, key, pair)| async move {
            match pair {
                Some((from, to)) => Some(compare_versions(project, key, from, to).await),
                None => None,
            }
        },
    );
    view! {
        <Transition fallback=|| view! { <Skeleton shape=SkeletonShape::Card count=3/> }>
            {draw(shown, move |answer| match answer {
                Ok(shown) => {
                    view! { <One project=project.get_untracked() shown pair changes/> }.into_any()
                }
                Err(fault) => view! { <FaultPage fault/> }.into_any(),
            })}
        </Transition>
    }
    .into_any()
}

#[component]
fn One(
    project: ProjectKey,
    shown: Shown,
    pair: Memo<Option<Pair>>,
    changes: Loaded<Option<fault::Result<String>>>,
) -> impl IntoView {
    let Shown { detail, plan } = shown;
    let name = detail.document.name.clone();
    use_crumb(move || Some(name.clone()));
    let base = format!("/p/{project}/templates/{}", detail.key);
    let here = format!("{base}@{}", detail.version);
    let old = detail.version < detail.newest;
    {
        let (project, key, source) = (project.clone(), detail.key.clone(), detail.source.clone());
        Effect::new(move |_| forget_draft(&project, &key, &source));
    }
    let query = use_query_map();
    let tab = Memo::new(move |_| query.read().get("tab").unwrap_or_else(|| "steps".to_owned()));
    let tabs = vec![
        Tab::new("steps", "Steps", if old { here.clone() } else { base.clone() })
            .count(detail.document.steps.len() as u64),
        Tab::new("yaml", "YAML", format!("{}?tab=yaml", if old { &here } else { &base })),
        Tab::new("versions", "Versions", format!("{}?tab=versions", if old { &here } else { &base }))
            .count(detail.versions.len() as u64),
    ];
    let actions = {
        let (base, project, detail) = (base.clone(), project.clone(), detail.clone());
        let may_edit = use_may_edit();
        move || may_edit.then(|| view! { <Actions base project detail/> })
    };
    let newest = base.clone();
    let number = detail.newest;
    let go_newest = move || view! { <ButtonLink href=newest>{format!("Show version {number}")}</ButtonLink> };
    let later = unsupported(&detail.document).map(|later| {
        view! {
            <Notice tone=Tone::Warning title="It cannot be executed yet">
                {sentence(&later)}
            </Notice>
        }
    });
    let shown_tab = {
        let shown_project = project.clone();
        let detail = detail.clone();
        let document = detail.document.clone();
        move || match tab.get().as_str() {
            "yaml" => view! { <CodeBlock text=detail.source.clone() title=format!("{}.yaml", detail.key)/> }
                .into_any(),
            "versions" => view! {
                <Versions
                    project=shown_project.clone()
                    base=base.clone()
                    detail=detail.clone()
                    pair
                    changes
                />
            }
            .into_any(),
            _ => view! { <Steps document=document.clone() plan=plan.clone()/> }.into_any(),
        }
    };
    let runs = match detail.runs {
        0 => "no runs yet".to_owned(),
        1 => "1 run".to_owned(),
        runs => format!("{runs} runs"),
    };
    view! {
        <PageHeader
            title=detail.document.name.clone()
            subtitle=detail.document.description.clone()
            actions
        >
            <Badge>{format!("version {}", detail.version)}</Badge>
            <span class="page-fact mono">{detail.key.to_string()}</span>
            <a class="page-fact" href=format!("/p/{project}/runs?template={}", detail.key)>
                {runs}
            </a>
        </PageHeader>
        <div class="stack">
            {old
                .then(|| {
                    view! {
                        <Notice tone=Tone::Info action=go_newest>
                            {format!("This is version {}. The newest is {}.", detail.version, detail.newest)}
                        </Notice>
                    }
                })}
            {later}
            <Tabs label="Template" tabs current=tab/>
            {shown_tab}
        </div>
    }
}

/// The drawing and, below it, each step with its texts.
#[component]
fn Steps(document: Template, plan: Result<Plan, Vec<Problem>>) -> impl IntoView {
    let chosen = RwSignal::new(None);
    let scene = {
        let document = document.clone();
        Memo::new(move |_| Scene::of_template(&document, &[]))
    };
    let open = Callback::new(move |index: usize| {
        if let Some(step) = leptos::prelude::document().get_element_by_id(&step_id(index)) {
            step.scroll_into_view();
        }
    });
    let flow = match plan {
        Ok(plan) => view! { <Flow document plan chosen/> }.into_any(),
        Err(problems) => view! { <NotValid problems/> }.into_any(),
    };
    view! {
        <Canvas
            id="flow"
            label="Steps"
            scene
            chosen
            on_choose=Callback::new(move |index| chosen.set(index))
            on_open=open
        />
        {flow}
    }
}

/// Stands in the place of the steps of a version that was saved under other rules.
#[component]
fn NotValid(problems: Vec<Problem>) -> impl IntoView {
    let problems = problems.into_iter().map(|problem| view! { <li>{sentence(&problem.to_string())}</li> });
    view! {
        <Notice tone=Tone::Error title="This version is no longer valid and cannot be executed">
            <ul>{problems.collect_view()}</ul>
        </Notice>
    }
}

#[component]
fn Actions(base: String, project: ProjectKey, detail: TemplateDetail) -> impl IntoView {
    let open = RwSignal::new(false);
    let duplicate = ServerAction::<DuplicateTemplate>::new();
    let delete = ServerAction::<DeleteTemplate>::new();
    let (duplicated, deleted) = (fault_of(duplicate), fault_of(delete));
    let name = detail.document.name.clone();
    let key = StoredValue::new((project, detail.key.clone()));
    let copy = move || {
        let (project, key): (ProjectKey, TemplateKey) = key.get_value();
        duplicate.dispatch(DuplicateTemplate { project, key });
    };
    let confirm = move || {
        let (project, key) = key.get_value();
        delete.dispatch(DeleteTemplate { project, key });
        open.set(false);
    };
    let runs = match detail.runs {
        0 => "It has no runs.".to_owned(),
        1 => "It is used by 1 run, which keeps its version.".to_owned(),
        runs => format!("It is used by {runs} runs; they keep their versions."),
    };
    let text = format!(
        "{runs} It can no longer be executed or edited, and it leaves this list. This cannot be undone."
    );
    view! {
        <FaultNotice fault=duplicated/>
        <FaultNotice fault=deleted/>
        <Menu id="template-menu" label="More actions">
            <MenuItem glyph=Glyph::Copy on_select=copy>
                "Duplicate"
            </MenuItem>
            <MenuItem glyph=Glyph::Trash danger=true on_select=move || open.set(true)>
                "Delete…"
            </MenuItem>
        </Menu>
        <ButtonLink href=format!("{base}/edit") glyph=Glyph::Edit>
            "Edit"
        </ButtonLink>
        <ButtonLink href=format!("{base}/execute") variant=ButtonVariant::Primary glyph=Glyph::Play>
            "Execute"
        </ButtonLink>
        <ConfirmDialog
            open
            title=format!("Delete the template {name}?")
            text
            confirm="Delete the template"
            on_confirm=confirm
        />
    }
}
