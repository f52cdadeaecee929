//! A conversation: its messages from the oldest to the newest, then the composer.
//!
//! The page is rendered once from the part that the server read: the end of a branch, or the messages around the one
//! that the URL names. Afterwards rows are added and messages change in place, so that readers keep their scroll
//! position, opened details and typed text.

use super::{
    composer::{Composer, Quoted},
    files::{FilesLink, FilesPanel},
    find::Find,
    message::{Around, MessageView, Row},
    rename::Rename,
    scroll::{Scroller, show_soon},
    server::{self, Part, composer_choices, mark_seen, open_conversation},
    thread::{FRAMES, Thread},
};
use crate::{
    form::FaultPage,
    layout::{PageHeader, use_crumb},
    live::{Refresh, use_live},
    load::{draw, load},
    project::{ReadOnly, use_may_edit, use_project},
    ui::{Button, ButtonLink, ButtonSize, ButtonVariant, Glyph, Skeleton},
};
use domain::{
    branch::Branch,
    id::{MessageId, TaskId, Timestamp, UserId},
    key::ProjectKey,
    view::{Author, Launched, Subject},
};
use leptos::{ev, prelude::*, task::spawn_local};
use leptos_router::{
    NavigateOptions,
    hooks::{use_navigate, use_params_map, use_query_map},
};
use std::str::FromStr;

#[component]
pub fn ConversationPage() -> impl IntoView {
    let project = use_project();
    let params = use_params_map();
    let query = use_query_map();
    let task = Memo::new(move |_| params.read().get("task").and_then(|task| task.parse::<TaskId>().ok()));
    let part = Memo::new(move |_| Part {
        branch: named(query, "branch"),
        message: named(query, "message"),
        before: named(query, "before"),
        after: named(query, "after"),
        // An edited message needs its whole text.
        whole: named(query, "whole").or_else(|| named(query, "edit")),
    });
    let drawn = load(
        move || (project.get(), task.get(), part.get()),
        |(project, task, part)| async move {
            let task = task.ok_or_else(|| crate::fault::Fault::NotFound {
                message: "there is no conversation at this address".to_owned(),
            })?;
            let page = open_conversation(project.clone(), task, part.clone()).await?;
            let choices = composer_choices(project.clone()).await?;
            Ok::<_, crate::fault::Fault>((project, page, choices, part))
        },
    );
    view! {
        <Transition fallback=|| view! { <Skeleton count=8/> }>
            {draw(drawn, move |answer| match answer {
                Ok((project, page, choices, part)) => {
                    let editing = named(query, "edit");
                    view! { <Conversation project page choices part editing/> }.into_any()
                }
                Err(fault) => view! { <FaultPage fault/> }.into_any(),
            })}
        </Transition>
    }
    .into_any()
}

/// Parses a query parameter.
fn named<T: FromStr>(query: Memo<leptos_router::params::ParamsMap>, name: &str) -> Option<T> {
    query.read().get(name)?.parse().ok()
}

#[component]
pub fn NewConversationPage() -> impl IntoView {
    let project = use_project();
    let choices = load(move || project.get(), composer_choices);
    let live = use_live();
    let navigate = use_navigate();
    use_crumb(|| Some("New conversation".to_owned()));
    let launched = Callback::new(move |launched: Launched| {
        let project = project.get_untracked();
        live.expect(&project, launched.run);
        navigate(&format!("/p/{project}/conversations/{}", launched.task_id), Default::default());
    });
    view! {
        <div class="conversation conversation-new">
            <PageHeader
                title="New conversation"
                subtitle="Ask a question, or run a template with a role for each of its steps. Everything stays in the conversation."
            />
            <Suspense fallback=|| view! { <Skeleton count=8/> }>
                {draw(choices, move |answer| match answer {
                    Ok(_) if !use_may_edit() => view! { <ReadOnly can="begin conversations"/> }.into_any(),
                    Ok(choices) => {
                        view! {
                            <Composer
                                project=project.get_untracked()
                                task=None
                                choices
                                on_launched=launched
                            />
                        }
                            .into_any()
                    }
                    Err(fault) => view! { <FaultPage fault/> }.into_any(),
                })}
            </Suspense>
        </div>
    }
    .into_any()
}

#[component]
fn Conversation(
    project: ProjectKey,
    page: server::ConversationPage,
    choices: server::Choices,
    part: Part,
    editing: Option<MessageId>,
) -> impl IntoView {
    let live = use_live();
    let changes = page.changes;
    let scroller = Scroller::provide(part.message.is_some() || page.later);
    let new_from = new_from(&page, choices.owner);
    let may_edit = page.may_edit;
    let thread = Thread::new(project.clone(), page, scroller);
    let id = thread.task;
    let refresh = Refresh::new(move || {
        thread.refresh();
        look(thread);
    });
    live.watch(&project, changes, move |change| match &change.subject {
        Subject::Run { number, task, .. } if *task == id => {
            thread.hear(*number);
            refresh.soon();
        }
        Subject::Task { id: task } if *task == id => refresh.soon(),
        Subject::Everything => refresh.soon(),
        _ => {}
    });
    let navigate = use_navigate();
    let launched = Callback::new({
        let project = project.clone();
        let navigate = navigate.clone();
        move |launched: Launched| {
            live.expect(&project, launched.run);
            if launched.branch == thread.branch.get_untracked().first() {
                thread.go_to_end();
                refresh.soon();
            } else {
                navigate(&server::href_of(&project, &launched), Default::default());
            }
        }
    });
    let last_role = thread.rows.with_untracked(|rows| rows.iter().rev().find_map(|row| row.role.clone()));
    let from_top = part.after.is_some();
    on_arrival(thread, scroller, part.message, navigate);
    use_crumb(move || Some(thread.title.get()));
    let quoted = Quoted::default();
    let around = StoredValue::new(Around {
        project: project.clone(),
        task: id,
        may_edit,
        quoted: (may_edit && !choices.templates.is_empty()).then_some(quoted),
        me: choices.owner,
        new_from,
        editing: RwSignal::new(editing),
        on_news: Callback::new(move |()| refresh.soon()),
    });
    let export = StoredValue::new(format!("/p/{project}/conversations/{id}/export"));
    let export_href =
        Signal::derive(move || format!("{}?branch={}", export.get_value(), thread.branch.get()));
    // Without edits, `main` is the only branch.
    let branches = Memo::new(move |_| {
        let has_versions = |row: &Row| row.message.read().versions.is_some();
        thread.branch.get() != Branch::Main || thread.rows.read().iter().any(has_versions)
    });
    let export_all = move || {
        branches.get().then(|| {
            let href = format!("{}?branches=all", export.get_value());
            view! {
                <ButtonLink href external=true variant=ButtonVariant::Ghost size=ButtonSize::Small>
                    "All branches"
                </ButtonLink>
            }
        })
    };
    let actions = move || {
        view! {
            <Find thread/>
            <FilesLink thread/>
            {may_edit.then(|| view! { <Rename thread/> })}
            <ButtonLink
                href=export_href
                title="What you read here, as Markdown"
                external=true
                variant=ButtonVariant::Ghost
                size=ButtonSize::Small
                glyph=Glyph::Download
            >
                "Export"
            </ButtonLink>
            {export_all}
        }
    };
    let composer = if may_edit {
        let project = project.clone();
        view! {
            <Composer
                project
                task=Some(id)
                branch=thread.branch
                choices
                last_role
                quoted
                on_launched=launched
            />
        }
        .into_any()
    } else {
        view! { <p class="field-hint">"You may read along here; editors write."</p> }.into_any()
    };
    view! {
        <div class="conversation">
            <PageHeader title=thread.title actions/>
            <div
                class=if from_top { "thread thread-from-top" } else { "thread" }
                node_ref=scroller.frame
                on:scroll=move |_| thread.look()
            >
                <div class="messages">
                    <More thread back=true/>
                    <div class="messages-log" role="log" aria-live="off" aria-label="Messages">
                        <For each=move || thread.rows.get() key=|row| row.entry.message.id let:row>
                            <MessageView around=around.get_value() row/>
                        </For>
                    </div>
                    <More thread back=false/>
                </div>
            </div>
            <div class="conversation-foot">
                <div class="conversation-latest" hidden=move || !scroller.away.get()>
                    <Button size=ButtonSize::Small glyph=Glyph::ChevronDown on_click=move || thread.go_to_end()>
                        {move || match thread.fresh.get() {
                            0 => "Jump to latest".to_owned(),
                            1 => "Jump to latest, 1 new".to_owned(),
                            many => format!("Jump to latest, {many} new"),
                        }}
                    </Button>
                </div>
                {composer}
            </div>
            <FilesPanel project thread/>
        </div>
    }
    .into_any()
}

/// The link to earlier or later messages. With script, they are loaded before the reader reaches the link.
#[component]
fn More(thread: Thread, back: bool) -> impl IntoView {
    let there = if back { thread.earlier } else { thread.later };
    let href = move || {
        let edge = thread.rows.with(|rows| {
            let row = if back { rows.first() } else { rows.last() };
            row.map(|row| row.entry.message.id)
        });
        let (branch, edge) = (thread.branch.get(), edge.map(|edge| edge.to_string()).unwrap_or_default());
        if back {
            format!("?branch={branch}&before={edge}")
        } else {
            format!("?branch={branch}&after={edge}")
        }
    };
    let load = move |event: ev::MouseEvent| {
        event.prevent_default();
        thread.load(back);
    };
    view! {
        <p class="conversation-more" hidden=move || !there.get()>
            <a class="button button-secondary button-small" href=href on:click=load>
                {if back { "Earlier messages" } else { "Later messages" }}
            </a>
        </p>
    }
}

/// Shows the message that the URL names, marks the conversation as seen, and loads more if needed.
fn on_arrival<N>(thread: Thread, scroller: Scroller, message: Option<MessageId>, navigate: N)
where
    N: Fn(&str, NavigateOptions) + Clone + 'static,
{
    Effect::new(move |_| {
        let hash = window().location().hash().unwrap_or_default();
        let in_hash = hash.strip_prefix("#m-").and_then(|id| id.parse::<MessageId>().ok());
        if let Some(named) = message.or(in_hash) {
            let navigate = navigate.clone();
            show_soon(format!("m-{named}"), FRAMES, move || {
                // The link's message is in another part of the conversation.
                if message.is_none() && thread.branch.try_get_untracked().is_some() {
                    let options = NavigateOptions { replace: true, ..NavigateOptions::default() };
                    navigate(&super::message::permalink(named), options);
                }
            });
        } else {
            request_animation_frame(move || thread.look());
        }
        scroller.listen();
        look(thread);
        let seen = window_event_listener(ev::visibilitychange, move |_| look(thread));
        on_cleanup(move || seen.remove());
    });
}

/// Marks the conversation as seen, if the tab is visible.
fn look(thread: Thread) {
    if document().hidden() {
        return;
    }
    let standing = thread.standing;
    spawn_local(async move {
        let Some(project) = thread.project.try_get_value() else { return };
        // If this fails, the conversation merely stays marked as unread.
        if let Ok(now) = mark_seen(project.clone(), thread.task).await {
            standing.know(project, now);
        }
    });
}

/// The first message that is new to a user who last looked at `seen`: other users' messages, and runs that ended
/// since.
fn new_from(page: &server::ConversationPage, me: Option<UserId>) -> Option<MessageId> {
    let seen = page.seen?;
    let is_new = |entry: &&server::Entry| {
        let at: Option<Timestamp> = match entry.message.author {
            Author::User if entry.message.user == me => None,
            Author::Assistant => entry.run.as_ref().and_then(|run| run.summary.finished_at),
            _ => Some(entry.message.created_at),
        };
        at.is_some_and(|at| at > seen)
    };
    page.messages.iter().find(is_new).map(|entry| entry.message.id)
}
