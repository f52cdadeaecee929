//! A conversation: messages from the oldest to the newest, then the composer.
//!
//! The page is drawn once from what the server read. Afterwards rows are added and their messages changed in place, so
//! that nobody loses a place in the text, an open detail or a typed word.

use super::{
    composer::Composer,
    message::{MessageView, Row},
    scroll::{PageEnd, keep_place},
    server::{self, Entry, composer_choices, open_conversation},
};
use crate::{
    form::FaultPage,
    layout::{PageHeader, use_crumb},
    live::{Refresh, use_live},
    load::load,
    project::use_project,
    run::ASK,
    ui::{ButtonLink, ButtonSize, ButtonVariant, Glyph, Skeleton},
};
use domain::{
    id::TaskId,
    key::ProjectKey,
    view::{Author, Launched, Subject},
};
use leptos::{ev, prelude::*, task::spawn_local};
use leptos_router::hooks::{use_navigate, use_params_map, use_query_map};

#[component]
pub fn ConversationPage() -> impl IntoView {
    let project = use_project();
    let params = use_params_map();
    let query = use_query_map();
    let task = Memo::new(move |_| params.read().get("task").and_then(|task| task.parse::<TaskId>().ok()));
    let cursor = Memo::new(move |_| query.read().get("cursor"));
    let drawn = load(
        move || (project.get(), task.get(), cursor.get()),
        |(project, task, cursor)| async move {
            let task = task.ok_or_else(|| crate::fault::Fault::NotFound {
                message: "there is no conversation at this address".to_owned(),
            })?;
            let page = open_conversation(project.clone(), task, cursor.clone()).await?;
            let choices = composer_choices(project.clone()).await?;
            Ok::<_, crate::fault::Fault>((project, page, choices, cursor.is_some()))
        },
    );
    view! {
        <Suspense fallback=|| view! { <Skeleton count=8/> }>
            {move || Suspend::new(async move {
                match drawn.await {
                    Ok((project, page, choices, past)) => {
                        view! { <Conversation project page choices past/> }.into_any()
                    }
                    Err(fault) => view! { <FaultPage fault/> }.into_any(),
                }
            })}
        </Suspense>
    }
    .into_any()
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
                {move || Suspend::new(async move {
                    match choices.await {
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
                    }
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
    /// It shows an earlier part alone, as a page without script does.
    past: bool,
) -> impl IntoView {
    let live = use_live();
    let id = page.task.id;
    let (now, may_edit) = (page.now, page.may_edit);
    let title = RwSignal::new(page.task.title.clone());
    let rows = RwSignal::new(rows_of(page.messages, None));
    let earlier = RwSignal::new(page.earlier);
    let project = StoredValue::new(project);
    let end = PageEnd::provide();

    let refresh = Refresh::new(move || {
        spawn_local(async move {
            // A failed reading is made up for by the next change, or by the notice that the tab is cut off.
            if let Ok(page) = open_conversation(project.get_value(), id, None).await {
                _ = title.try_set(page.task.title.clone());
                _ = rows.try_update(|rows| merge(rows, page.messages));
                end.stay();
            }
        });
    });
    if !past {
        live.watch(&project.get_value(), page.changes, move |change| match &change.subject {
            Subject::Run { task, .. } if *task == id => refresh.soon(),
            Subject::Task { id: task } if *task == id => refresh.soon(),
            _ => {}
        });
        Effect::new(move |_| {
            if !show_named() {
                end.go();
            }
        });
    } else {
        Effect::new(move |_| _ = show_named());
    }
    let launched = Callback::new(move |launched: Launched| {
        live.expect(&project.get_value(), launched.run);
        end.go();
        refresh.soon();
    });
    let load_earlier = move |event: ev::MouseEvent| {
        event.prevent_default();
        let Some(cursor) = earlier.get_untracked() else { return };
        spawn_local(async move {
            if let Ok(page) = open_conversation(project.get_value(), id, Some(cursor)).await {
                keep_place(|| {
                    _ = rows.try_update(|rows| {
                        let mut all = rows_of(page.messages, rows.first());
                        all.append(rows);
                        *rows = all;
                    });
                    _ = earlier.try_set(page.earlier);
                });
            }
        });
    };
    use_crumb(move || Some(title.get()));
    let ended = Callback::new(move |()| refresh.soon());
    let export_href = format!("/p/{}/conversations/{id}/export", project.get_value());
    let export = move || {
        view! {
            <ButtonLink
                href=export_href
                external=true
                variant=ButtonVariant::Ghost
                size=ButtonSize::Small
                glyph=Glyph::Download
            >
                "Export"
            </ButtonLink>
        }
    };
    view! {
        <div class="conversation">
            <PageHeader title actions=export/>
            {move || {
                earlier
                    .get()
                    .map(|cursor| {
                        view! {
                            <p class="conversation-earlier">
                                <a class="button button-secondary button-small" href=format!("?cursor={cursor}") on:click=load_earlier>
                                    "Earlier messages"
                                </a>
                            </p>
                        }
                    })
            }}
            <div class="messages" role="log" aria-live="off" aria-label="Messages">
                <For each=move || rows.get() key=|row| row.entry.message.id let:row>
                    <MessageView project=project.get_value() row now may_edit on_end=ended/>
                </For>
            </div>
            {past.then(|| view! { <p class="conversation-earlier"><a class="button button-secondary button-small" href="?">"Newest messages"</a></p> })}
            <div class="conversation-foot">
                <Composer project=project.get_value() task=Some(id) choices on_launched=launched/>
            </div>
        </div>
    }
    .into_any()
}

/// Shows the message that the address names, if it is here.
fn show_named() -> bool {
    let hash = window().location().hash().unwrap_or_default();
    let named = hash.strip_prefix('#').and_then(|id| document().get_element_by_id(id));
    if let Some(message) = &named {
        message.scroll_into_view();
    }
    named.is_some()
}

/// Rows for messages that follow one another; `after` is the row that comes after the last of them.
fn rows_of(entries: Vec<Entry>, after: Option<&Row>) -> Vec<Row> {
    let templates: Vec<_> = entries
        .iter()
        .skip(1)
        .map(Some)
        .chain([after.map(|row| &row.entry)])
        .map(|next| next?.run.as_ref().map(|run| run.summary.template.clone()))
        .collect();
    let rows = entries.into_iter().zip(templates).map(|(entry, template)| Row {
        message: ArcRwSignal::new(entry.message.clone()),
        launched: template
            .filter(|template| entry.message.author == Author::User && template.key.as_ref() != ASK),
        entry,
    });
    rows.collect()
}

/// Takes the newest messages as they are now: known ones change in place, new ones follow.
fn merge(rows: &mut Vec<Row>, newest: Vec<Entry>) {
    for row in rows_of(newest, None) {
        match rows.iter().find(|known| known.entry.message.id == row.entry.message.id) {
            Some(known) => {
                let message = row.entry.message;
                if *known.message.read_untracked() != message {
                    known.message.set(message);
                }
            }
            None => rows.push(row),
        }
    }
}
