//! The versions of a template: author, time and runs of each, the changes between two, and restoring one.

use super::server::RestoreTemplate;
use crate::{
    fault::Result,
    form::{FaultNotice, FaultPage, fault_of},
    load::{Loaded, draw_in_place},
    project::use_may_edit,
    ui::{
        Badge, Button, ButtonKind, ButtonSize, ButtonVariant, Column, ConfirmDialog, RelativeTime, RowLink,
        Select, SelectOption, Skeleton, SkeletonShape, Table, Tone,
    },
};
use domain::{
    key::{ProjectKey, TemplateKey},
    view::{TemplateDetail, TemplateVersionInfo},
};
use leptos::prelude::*;
#[cfg(feature = "ssr")]
use leptos::tachys::view::RenderHtml;

/// Two versions, the older one first.
pub type Pair = (u32, u32);

/// The pair in the URL: `?from=1&to=3`.
pub fn pair_of(from: Option<String>, to: Option<String>) -> Option<Pair> {
    let (from, to): (u32, u32) = (from?.parse().ok()?, to?.parse().ok()?);
    (from != to).then(|| (from.min(to), from.max(to)))
}

#[component]
pub fn Versions(
    project: ProjectKey,
    base: String,
    detail: TemplateDetail,
    pair: Memo<Option<Pair>>,
    changes: Loaded<Option<Result<String>>>,
) -> impl IntoView {
    let (shown, newest) = (detail.version, detail.newest);
    let may_edit = use_may_edit();
    let restore = ServerAction::<RestoreTemplate>::new();
    let fault = fault_of(restore);
    let wanted = RwSignal::new(None::<u32>);
    let open = RwSignal::new(false);
    let key = StoredValue::new((project.clone(), detail.key.clone()));
    let confirm = move || {
        let (project, key): (ProjectKey, TemplateKey) = key.get_value();
        if let Some(version) = wanted.get_untracked() {
            restore.dispatch(RestoreTemplate { project, key, version });
        }
        open.set(false);
    };
    let runs = format!("/p/{project}/runs?template={}", detail.key);
    let versions = detail.versions.clone();
    let row = {
        let base = base.clone();
        move |version: TemplateVersionInfo| {
            let number = version.version;
            let changed = (number > 1).then(|| {
                let href = format!("{base}?tab=versions&from={}&to={number}", number - 1);
                view! { <a class="link" href=href data-noscroll="true">"What changed"</a> }
            });
            let back = (may_edit && number != newest).then(|| {
                let ask = move || {
                    wanted.set(Some(number));
                    open.set(true);
                };
                view! {
                    <Button size=ButtonSize::Small on_click=ask>
                        "Restore" <span class="visually-hidden">{format!(" version {number}")}</span>
                    </Button>
                }
            });
            let used = match version.runs {
                0 => view! { <span class="muted">"no runs"</span> }.into_any(),
                1 => view! { <a class="link" href=runs.clone()>"1 run"</a> }.into_any(),
                count => view! { <a class="link" href=runs.clone()>{format!("{count} runs")}</a> }.into_any(),
            };
            view! {
                <tr>
                    <td class="clip">
                        <RowLink href=format!("{base}@{number}")>{format!("Version {number}")}</RowLink>
                        {(number == shown).then(|| view! { " " <Badge tone=Tone::Accent>"shown"</Badge> })}
                        {(number == newest).then(|| view! { " " <Badge>"newest"</Badge> })}
                    </td>
                    <td class="muted tight">
                        <RelativeTime at=version.created_at/>
                    </td>
                    <td class="muted tight wide-only">{version.by}</td>
                    <td class="tight">{used}</td>
                    <td class="tight">{changed}</td>
                    {may_edit.then(|| view! { <td class="tight">{back}</td> })}
                </tr>
            }
        }
    };
    let mut columns = vec![
        Column::new("Version"),
        Column::new("Saved").tight(),
        Column::new("By").tight().wide_only(),
        Column::new("Used by").tight(),
        Column::new("Changes").hidden(),
    ];
    if may_edit {
        columns.push(Column::new("Restore").hidden());
    }
    let text = Signal::derive(move || {
        let number = wanted.get().unwrap_or_default();
        format!("Version {} will have the text of version {number}. Every version stays.", newest + 1)
    });
    view! {
        <FaultNotice fault/>
        <Table label="Versions" columns>
            {detail.versions.into_iter().map(row).collect_view()}
        </Table>
        {(newest > 1).then(|| view! { <Compare base versions pair changes/> })}
        <ConfirmDialog
            open
            title="Restore this version?"
            text
            confirm="Restore it"
            variant=ButtonVariant::Primary
            on_confirm=confirm
        />
    }
}

/// The comparison of any two versions; a plain form, so that it works without script.
#[component]
fn Compare(
    base: String,
    versions: Vec<TemplateVersionInfo>,
    pair: Memo<Option<Pair>>,
    changes: Loaded<Option<Result<String>>>,
) -> impl IntoView {
    let options: Vec<_> = versions
        .iter()
        .map(|version| SelectOption::new(version.version.to_string(), format!("Version {}", version.version)))
        .collect();
    let newest = versions.first().map_or(1, |version| version.version);
    let (from, to) = pair.get_untracked().unwrap_or((newest.saturating_sub(1).max(1), newest));
    let shown = draw_in_place(changes, |answer| match answer {
        None => ().into_any(),
        Some(Ok(html)) => view! { <div class="version-changes" inner_html=html></div> }.into_any(),
        Some(Err(fault)) => view! { <FaultPage fault/> }.into_any(),
    });
    view! {
        <section class="versions-compare" aria-label="Compare two versions">
            <form method="get" action=base class="versions-form">
                <input type="hidden" name="tab" value="versions"/>
                <Select label="From" name="from" options=options.clone() value=from.to_string()/>
                <Select label="To" name="to" options value=to.to_string()/>
                <Button kind=ButtonKind::Submit>"Compare"</Button>
            </form>
            <Transition fallback=|| view! { <Skeleton shape=SkeletonShape::Text count=4/> }>{shown}</Transition>
        </section>
    }
}

/// The changes as HTML.
#[cfg(feature = "ssr")]
pub fn drawn((from, to): Pair, before: &str, after: &str) -> String {
    let lines = crate::changes::between(before, after);
    if lines.is_empty() {
        return view! { <p class="field-hint">{format!("Versions {from} and {to} are the same.")}</p> }
            .to_html();
    }
    let label = format!("Changes from version {from} to version {to}");
    view! {
        <h2 class="versions-title">{format!("From version {from} to version {to}")}</h2>
        <pre class="run-text file-text file-changes" tabindex="0" role="region" aria-label=label>
            {crate::changes::coloured(&lines)}
        </pre>
    }
    .to_html()
}

#[cfg(test)]
mod tests {
    use super::pair_of;

    #[test]
    fn the_older_one_comes_first() {
        let pair = |from: &str, to: &str| pair_of(Some(from.into()), Some(to.into()));
        assert_eq!(pair("3", "1"), Some((1, 3)));
        assert_eq!(pair("2", "2"), None);
        assert_eq!(pair("x", "2"), None);
    }
}
