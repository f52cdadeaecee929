//! One message. An assistant's message is one run: its status stands in the message's details, exactly once.

use super::{scroll::stay_at_end, server::Entry};
use crate::{
    live::{LiveRun, use_live},
    run::{ASK, Status},
    ui::{Glyph, Icon, Markdown, RelativeTime},
};
use domain::{
    event::TemplateVersion,
    id::{StepRunId, Timestamp},
    key::ProjectKey,
    view::{Author, Message},
};
use leptos::prelude::*;

/// A message on the page. Its text may still change; its run, once there, changes by itself.
#[derive(Clone)]
pub struct Row {
    pub entry: Entry,
    pub message: ArcRwSignal<Message>,
    /// What the user's message launched, when that was a template.
    pub launched: Option<TemplateVersion>,
}

#[component]
pub fn MessageView(
    project: ProjectKey,
    row: Row,
    now: Timestamp,
    may_edit: bool,
    /// Called when the run of this message has ended, for the message has its final text then.
    on_end: Callback<()>,
) -> impl IntoView {
    match row.entry.message.author {
        Author::User => view! { <UserMessage project row/> }.into_any(),
        Author::Assistant => view! { <Response project row now may_edit on_end/> }.into_any(),
        Author::System => {
            view! { <article class="message message-system">{row.entry.message.content}</article> }.into_any()
        }
    }
}

#[component]
fn UserMessage(project: ProjectKey, row: Row) -> impl IntoView {
    let message = row.entry.message;
    let anchor = format!("m-{}", message.id);
    let by = message.by.clone().unwrap_or_else(|| "Somebody".to_owned());
    let body = match &row.launched {
        None => view! { <div class="message-text">{message.content}</div> }.into_any(),
        Some(template) => {
            // The first line names the template, which the chip does; the rest is its input.
            let input = message.content.split_once('\n').map(|(_, rest)| rest.trim_start().to_owned());
            let href = format!("/p/{project}/templates/{}?version={}", template.key, template.version);
            let name = format!("{} v{}", template.name, template.version);
            // A fork says which run it does again.
            let first = message.content.lines().next().unwrap_or_default();
            let again =
                first.rsplit_once(" (").map(|(words, _)| words).filter(|words| words.contains(" again"));
            let words = again.unwrap_or("Ran").to_owned();
            view! {
                <p class="message-launch">{words} " " <a class="run-chip" href=href><Icon glyph=Glyph::Templates/>{name}</a></p>
                {input
                    .filter(|input| !input.is_empty())
                    .map(|input| {
                        view! {
                            <details class="message-input">
                                <summary>"Input"</summary>
                                <pre class="run-text">{input}</pre>
                            </details>
                        }
                    })}
            }
            .into_any()
        }
    };
    view! {
        <article class="message message-user" id=anchor aria-label=format!("Message from {by}")>
            <header class="message-head">
                <h2 class="message-by">{by.clone()}</h2>
                <span class="message-time"><RelativeTime at=message.created_at/></span>
            </header>
            {body}
        </article>
    }
    .into_any()
}

#[component]
fn Response(
    project: ProjectKey,
    row: Row,
    now: Timestamp,
    may_edit: bool,
    on_end: Callback<()>,
) -> impl IntoView {
    let message = row.message;
    let created = row.entry.message.created_at;
    let anchor = format!("m-{}", row.entry.message.id);
    let run = row.entry.run.map(|detail| use_live().follow(&project, detail, now));
    if let Some(run) = run {
        let live = run.is_live();
        stay_at_end(move || run.state.track());
        Effect::new(move |was: Option<bool>| {
            let now = live.get();
            if was == Some(true) && !now {
                on_end.run(());
            }
            now
        });
    }
    let template = run.and_then(|run| run.state.read_untracked().template.clone());
    let template = template.filter(|template| template.key.as_ref() != ASK);
    // What one step alone says is the message itself; with more of them each says its part in the status.
    let alone = run.is_some_and(|run| run.state.read_untracked().plan.steps.len() == 1);
    view! {
        <article class="message message-response" id=anchor aria-label="Response">
            <header class="message-head">
                <h2 class="message-by">"Response"</h2>
                {template.map(|template| view! { <span class="message-template">{template.name}</span> })}
                <span class="message-time"><RelativeTime at=created/></span>
            </header>
            {run.map(|run| view! { <Status project=project.clone() run text_elsewhere=alone may_edit/> })}
            <Body message run alone/>
        </article>
    }
    .into_any()
}

/// What the body shows, by what there is.
#[derive(Clone, Copy, PartialEq)]
enum Shown {
    Html,
    /// The run has ended; its output is here before its HTML is.
    Output,
    Streaming,
    Nothing,
}

#[component]
fn Body(message: ArcRwSignal<Message>, run: Option<LiveRun>, alone: bool) -> impl IntoView {
    let message = RwSignal::from(message);
    let shown = Memo::new(move |_| {
        if message.read().html.is_some() {
            return Shown::Html;
        }
        run.map_or(Shown::Nothing, |run| {
            let state = run.state.read();
            if state.output.is_some() {
                Shown::Output
            } else if alone && state.open > 0 {
                Shown::Streaming
            } else {
                Shown::Nothing
            }
        })
    });
    move || match shown.get() {
        Shown::Html => {
            let html = message.read().html.clone().unwrap_or_default();
            view! { <div class="message-body"><Markdown html/></div> }.into_any()
        }
        Shown::Output => {
            let text =
                run.and_then(|run| run.state.read().output.as_ref().map(|output| output.shown.clone()));
            view! { <div class="message-body message-text">{text}</div> }.into_any()
        }
        Shown::Streaming => run.map(|run| view! { <Streaming run/> }).into_any(),
        Shown::Nothing => ().into_any(),
    }
}

#[component]
fn Streaming(run: LiveRun) -> impl IntoView {
    let id = StepRunId::of(0);
    let step = run.step(id);
    let open = Memo::new(move |_| step.read().open_attempt().map(|attempt| attempt.number));
    let text = run.text(id);
    stay_at_end(move || text.track());
    view! {
        <div class="message-body message-text streaming">
            {move || text.with(|live| if Some(live.attempt) == open.get() { live.text.clone() } else { String::new() })}
        </div>
    }
}
