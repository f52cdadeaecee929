//! The conversations of a project, most recently changed first.

use super::server::{self, list_conversations};
use crate::{
    form::FaultPage,
    layout::{PageHeader, new_link},
    live::{Refresh, use_live},
    load::{draw, load},
    project::use_project,
    ui::{EmptyState, Glyph, Pager, RelativeTime, Skeleton, SkeletonShape, Status, StatusBadge},
};
use domain::{id::TaskId, key::ProjectKey, view::TaskSummary};
use leptos::{prelude::*, task::spawn_local};
use leptos_router::hooks::use_query_map;

#[component]
pub fn ConversationsPage() -> impl IntoView {
    let project = use_project();
    let query = use_query_map();
    let cursor = Memo::new(move |_| query.read().get("cursor"));
    let drawn = load(
        move || (project.get(), cursor.get()),
        |(project, cursor)| async move {
            let list = list_conversations(project.clone(), cursor.clone()).await?;
            Ok::<_, crate::fault::Fault>((project, cursor, list))
        },
    );
    view! {
        <Transition fallback=|| view! { <Skeleton shape=SkeletonShape::Rows count=8/> }>
            {draw(drawn, move |answer| match answer {
                Ok((project, cursor, list)) => view! { <Conversations project cursor list/> }.into_any(),
                Err(fault) => view! { <FaultPage fault/> }.into_any(),
            })}
        </Transition>
    }
    .into_any()
}

#[component]
fn Conversations(
    project: ProjectKey,
    cursor: Option<String>,
    list: server::ConversationList,
) -> impl IntoView {
    let first = cursor.is_none();
    let tasks = RwSignal::new(list.page.items);
    let next = RwSignal::new(list.page.next);
    let project = StoredValue::new(project);
    let cursor = StoredValue::new(cursor);
    let refresh = Refresh::new(move || {
        spawn_local(async move {
            if let Ok(list) = list_conversations(project.get_value(), cursor.get_value()).await {
                _ = tasks.try_set(list.page.items);
                _ = next.try_set(list.page.next);
            }
        });
    });
    use_live().watch(&project.get_value(), list.changes, move |change| {
        if change.subject.is_conversation() {
            refresh.soon();
        }
    });
    let base = format!("/p/{}/conversations", project.get_value());
    let new = new_link("New conversation", format!("{base}/new"));
    let newest = (!first).then(|| base.clone());
    let base = StoredValue::new(base);
    let older = move || next.get().map(|cursor| format!("{}?cursor={cursor}", base.get_value()));
    // The row of a changed conversation is re-rendered; the others stay.
    let key = |task: &TaskSummary| {
        (task.id, task.updated_at, task.last_status, task.live_runs, task.unread, task.title.clone())
    };
    view! {
        <div class="conversations">
            <PageHeader title="Conversations" actions=new/>
            <Show
                when=move || !tasks.read().is_empty()
                fallback=move || {
                    view! {
                        <EmptyState title="No conversations yet" glyph=Glyph::Conversations action=new>
                            "A conversation keeps what was asked, which template ran, and every answer. Begin one by asking a question."
                        </EmptyState>
                    }
                }
            >
                <ul class="conversation-list">
                    <For each=move || tasks.get() key=key let:task>
                        <ConversationRow base=base.get_value() task/>
                    </For>
                </ul>
            </Show>
            <Pager previous=Signal::stored(newest) next=Signal::derive(older)/>
        </div>
    }
    .into_any()
}

#[component]
fn ConversationRow(base: String, task: TaskSummary) -> impl IntoView {
    let id: TaskId = task.id;
    view! {
        <li class="conversation-row">
            <a
                class="conversation-link"
                href=format!("{base}/{id}")
                data-row="true"
                data-unread=task.unread.then_some("true")
            >
                <span class="conversation-status">
                    {task.last_status.map(|status| view! { <StatusBadge status=Status::from(status) icon_only=true/> })}
                </span>
                <span class="conversation-text">
                    <span class="conversation-title">
                        {task.title}
                        {task.unread.then(|| view! { <span class="visually-hidden">", unread"</span> })}
                    </span>
                    <span class="conversation-excerpt">{task.excerpt}</span>
                </span>
                {(task.live_runs > 0)
                    .then(|| view! { <span class="conversation-live">{task.live_runs} " live"</span> })}
                <span class="conversation-time">
                    <RelativeTime at=task.updated_at/>
                    {task.unread.then(|| view! { <span class="conversation-unread" aria-hidden="true"></span> })}
                </span>
            </a>
        </li>
    }
    .into_any()
}
