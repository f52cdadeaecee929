//! An item of the inbox, with its actions in place.

use super::server::{DismissFailure, Entry};
use crate::{
    live::{LiveRun, use_live},
    run::{ASK, Questions, Rerun},
    ui::{
        Button, ButtonKind, ButtonLink, ButtonSize, ButtonVariant, Glyph, RelativeTime, Status, StatusBadge,
    },
};
use domain::{
    id::Timestamp,
    key::ProjectKey,
    view::{InboxKind, RunSummary},
};
use leptos::{form::ActionForm, prelude::*};

#[component]
pub fn InboxRow(
    project: ProjectKey,
    entry: Entry,
    now: Timestamp,
    may_edit: bool,
    dismiss: ServerAction<DismissFailure>,
    /// The page's owner: a row can be removed, because its question was answered, before the response to the answer
    /// arrives.
    page: Owner,
) -> impl IntoView {
    let run = use_live().follow(&project, entry.detail, now);
    let item = entry.item;
    let summary = item.run;
    let href = format!("/p/{project}/runs/{}", summary.number);
    let conversation = format!("/p/{project}/conversations/{}#m-{}", summary.task, summary.message);
    let name = if summary.template.key.as_ref() == ASK {
        summary.template.name.clone()
    } else {
        format!("{} v{}", summary.template.name, summary.template.version)
    };
    let (status, said) = match item.kind {
        InboxKind::Question => (Status::Waiting, "asked"),
        InboxKind::Failure => (Status::Failed, "failed"),
    };
    let label = format!("Run {}, {name}, {said}", summary.number);
    let body = match item.kind {
        InboxKind::Question => view! { <Question project run may_edit page/> }.into_any(),
        InboxKind::Failure => {
            view! { <Failed project run summary href=href.clone() may_edit dismiss/> }.into_any()
        }
    };
    view! {
        <li class="inbox-row" aria-label=label>
            <header class="inbox-head">
                <StatusBadge status icon_only=true/>
                <a class="inbox-run" href=href data-row="true">"Run " {run.number.0} " " <span class="inbox-template">{name}</span></a>
                <a class="link inbox-where" href=conversation>"Its conversation"</a>
                <span class="inbox-time">{said} " " <RelativeTime at=item.at/></span>
            </header>
            {body}
        </li>
    }
    .into_any()
}

#[component]
fn Question(project: ProjectKey, run: LiveRun, may_edit: bool, page: Owner) -> impl IntoView {
    let open = Memo::new(move |_| run.state.read().has_open_questions());
    view! {
        <Questions project run may_edit heard_by=page/>
        // Shown until the list is reloaded.
        {move || (!open.get()).then(|| view! { <p class="inbox-done" role="status">"Answered."</p> })}
    }
    .into_any()
}

#[component]
fn Failed(
    project: ProjectKey,
    run: LiveRun,
    summary: RunSummary,
    href: String,
    may_edit: bool,
    dismiss: ServerAction<DismissFailure>,
) -> impl IntoView {
    let error = summary.error.unwrap_or_else(|| "It failed without a word.".to_owned());
    let busy = dismiss.pending();
    view! {
        <p class="inbox-error">{error}</p>
        <div class="inbox-actions">
            {may_edit.then(|| view! { <Rerun project=project.clone() run leave=true/> })}
            <ButtonLink href size=ButtonSize::Small variant=ButtonVariant::Ghost glyph=Glyph::Eye>
                "Open"
            </ButtonLink>
            <ActionForm action=dismiss>
                <input type="hidden" name="project" value=project.to_string()/>
                <input type="hidden" name="run" value=run.number.to_string()/>
                <Button kind=ButtonKind::Submit size=ButtonSize::Small variant=ButtonVariant::Ghost glyph=Glyph::Check busy>
                    "Dismiss"
                </Button>
            </ActionForm>
        </div>
    }
    .into_any()
}
