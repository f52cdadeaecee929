//! The inbox page, newest first. Rows appear and disappear on their own; a row whose field the user is typing in stays
//! as it is.

use super::{
    row::InboxRow,
    server::{DismissFailure, InboxPart, open_inbox, restore_failure},
};
use crate::{
    form::FaultPage,
    layout::PageHeader,
    live::{Refresh, use_live},
    load::{draw, load},
    project::use_project,
    ui::{ButtonLink, EmptyState, Glyph, Pager, Skeleton, SkeletonShape, Toast, Tone, use_toasts},
};
use domain::key::ProjectKey;
use leptos::{prelude::*, task::spawn_local};
use leptos_router::hooks::use_query_map;

#[component]
pub fn InboxPage() -> impl IntoView {
    let project = use_project();
    let query = use_query_map();
    let cursor = Memo::new(move |_| query.read().get("cursor"));
    let drawn = load(
        move || (project.get(), cursor.get()),
        |(project, cursor)| async move {
            let part = open_inbox(project.clone(), cursor.clone()).await?;
            Ok::<_, crate::fault::Fault>((project, cursor, part))
        },
    );
    view! {
        <Transition fallback=|| view! { <Skeleton shape=SkeletonShape::Rows count=6/> }>
            {draw(drawn, move |answer| match answer {
                Ok((project, cursor, part)) => view! { <Inbox project cursor part/> }.into_any(),
                Err(fault) => view! { <FaultPage fault/> }.into_any(),
            })}
        </Transition>
    }
    .into_any()
}

#[component]
fn Inbox(project: ProjectKey, cursor: Option<String>, part: InboxPart) -> impl IntoView {
    let (now, may_edit) = (part.now, part.may_edit);
    let page = StoredValue::new(Owner::current().unwrap_or_default());
    let entries = RwSignal::new(part.entries);
    let next = RwSignal::new(part.next);
    let base = format!("/p/{project}/inbox");
    let newest = cursor.is_some().then(|| base.clone());
    let templates = StoredValue::new(format!("/p/{project}/templates"));
    let asked = StoredValue::new((project.clone(), cursor));
    let refresh = Refresh::new(move || {
        let (project, cursor) = asked.get_value();
        spawn_local(async move {
            if let Ok(part) = open_inbox(project, cursor).await {
                _ = entries.try_set(part.entries);
                _ = next.try_set(part.next);
            }
        });
    });
    use_live().watch(&project, part.changes, move |change| {
        if change.subject.is_run() {
            refresh.soon();
        }
    });
    let dismiss = ServerAction::<DismissFailure>::new();
    let toasts = use_toasts();
    Effect::new(move |_| match dismiss.value().get() {
        Some(Ok(run)) => {
            entries.update(|entries| entries.retain(|entry| entry.item.run.number != run));
            let undo = move || {
                let (project, _) = asked.get_value();
                spawn_local(async move {
                    match restore_failure(project, run).await {
                        Ok(()) => refresh.soon(),
                        Err(fault) => toasts.error(fault.to_string()),
                    }
                });
            };
            toasts.show(Toast::new(Tone::Info, format!("Run {run} is dismissed")).action("Undo", undo));
        }
        Some(Err(fault)) => toasts.error(fault.to_string()),
        None => {}
    });
    let action = move || view! { <ButtonLink href=templates.get_value()>"See the templates"</ButtonLink> };
    let older = move || next.get().map(|cursor| format!("{base}?cursor={cursor}"));
    view! {
        <div class="inbox">
            <PageHeader title="Inbox" subtitle="Decisions that runs wait for, and runs of yours that failed."/>
            <Show
                when=move || !entries.read().is_empty()
                fallback=move || {
                    view! {
                        <EmptyState title="Nothing waits for you" glyph=Glyph::Inbox action>
                            "When a run asks for a decision (a step with uses: approval), or one that you started fails, it appears here at once."
                        </EmptyState>
                    }
                }
            >
                <ul class="inbox-list" aria-label="What waits">
                    <For each=move || entries.get() key=|entry| (entry.item.run.number, entry.item.kind) let:entry>
                        <InboxRow project=asked.get_value().0 entry now may_edit dismiss page=page.get_value()/>
                    </For>
                </ul>
            </Show>
            <Pager previous=Signal::stored(newest) next=Signal::derive(older)/>
        </div>
    }
    .into_any()
}
