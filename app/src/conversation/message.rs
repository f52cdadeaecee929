//! A message. An assistant's message shows the status of its run, in the message's details.

use super::{
    composer::Quoted,
    draft::Draft,
    edit::EditForm,
    long::{Long, LongText},
    scroll::stay_at_end,
    server::Entry,
};
use crate::{
    live::{LiveRun, use_live},
    run::{ASK, Status, read_whole},
    ui::{Glyph, Icon, Markdown, RelativeTime},
};
use domain::{
    branch::Version,
    event::TemplateVersion,
    id::{MessageId, StepRunId, TaskId, Timestamp, UserId},
    key::{ProjectKey, RoleKey},
    run::Phase,
    view::{Author, Message},
};
use leptos::prelude::*;

/// A rendered message. Its text may still change; its run updates itself.
#[derive(Clone)]
pub struct Row {
    pub entry: Entry,
    pub message: ArcRwSignal<Message>,
    /// The template that the user's message launched, if it did.
    pub launched: Option<TemplateVersion>,
    /// Whether the message is free text, and the role that it was sent to.
    pub asked: bool,
    pub role: Option<RoleKey>,
    /// Server time at which the message was read.
    pub now: Timestamp,
}

/// Context that all messages of a page share.
#[derive(Clone)]
pub struct Around {
    pub project: ProjectKey,
    pub task: TaskId,
    pub may_edit: bool,
    /// Passes a message's text to the composer, if there are templates to run on it.
    pub quoted: Option<Quoted>,
    /// The signed-in user.
    pub me: Option<UserId>,
    /// The first message that was added, or whose run ended, since the user last looked.
    pub new_from: Option<MessageId>,
    /// The message being edited.
    pub editing: RwSignal<Option<MessageId>>,
    /// Called when a message's run has ended, which is when the message has its final text, and when it has written
    /// files.
    pub on_news: Callback<()>,
}

#[component]
pub fn MessageView(around: Around, row: Row) -> impl IntoView {
    let new = around.new_from == Some(row.entry.message.id);
    let message = match row.entry.message.author {
        Author::User => view! { <UserMessage around row/> }.into_any(),
        Author::Assistant => view! { <Response around row/> }.into_any(),
        Author::System => {
            let anchor = anchor(row.entry.message.id);
            view! { <article class="message message-system" id=anchor>{row.entry.message.content}</article> }
                .into_any()
        }
    };
    view! {
        {new.then(|| view! { <p class="message-new"><span>"New"</span></p> })}
        {message}
    }
}

fn anchor(id: MessageId) -> String {
    format!("m-{id}")
}

/// The address of a message, anywhere in its conversation.
pub fn permalink(id: MessageId) -> String {
    format!("?message={id}#m-{id}")
}

#[component]
fn UserMessage(around: Around, row: Row) -> impl IntoView {
    let now_message = RwSignal::from(row.message.clone());
    let message = row.entry.message;
    let id = message.id;
    let by = message.by.clone().unwrap_or_else(|| "Somebody".to_owned());
    let project = around.project.clone();
    let mine = row.asked && around.may_edit && message.user.is_some() && message.user == around.me;
    let editing = around.editing;
    if mine {
        let draft = Draft::of_message(around.me, &around.project, id);
        Effect::new(move |_| {
            if editing.get_untracked().is_none() && draft.kept().is_some() {
                editing.set(Some(id));
            }
        });
    }
    let long = row.entry.whole.map(|bytes| Long::new(around.clone(), id, bytes));
    if let Some(long) = long.filter(|_| mine) {
        Effect::new(move |_| {
            if editing.get() == Some(id) {
                long.read(|| {});
            }
        });
    }
    let text = message.content.clone();
    let quote = around.quoted.filter(|_| row.launched.is_none()).map(|quoted| {
        Callback::new(move |()| match long {
            None => quoted.0.set(Some(text.clone())),
            Some(long) => long.read(move || quoted.0.set(long.whole.get_untracked())),
        })
    });
    let is_open = Memo::new(move |_| {
        mine && editing.get() == Some(id) && long.is_none_or(|long| long.whole.read().is_some())
    });
    let edit = StoredValue::new((around, message.content.clone(), row.role));
    let body = match &row.launched {
        None => match long {
            None => view! { <div class="message-text">{message.content}</div> }.into_any(),
            Some(long) => view! { <LongText long beginning=message.content/> }.into_any(),
        },
        Some(template) => {
            // The first line names the template, which the chip shows; the rest is its input.
            let input = message.content.split_once('\n').map(|(_, rest)| rest.trim_start().to_owned());
            let href = format!("/p/{project}/templates/{}?version={}", template.key, template.version);
            let name = format!("{} v{}", template.name, template.version);
            // The message of a fork names the run that it repeats.
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
                                <pre class="run-text" tabindex="0">{input}</pre>
                            </details>
                        }
                    })}
            }
            .into_any()
        }
    };
    let open = move |event: leptos::ev::MouseEvent| {
        event.prevent_default();
        editing.set(Some(id));
    };
    view! {
        <article class="message message-user" id=anchor(id) aria-label=format!("Message from {by}")>
            <header class="message-head">
                <h2 class="message-by">{by.clone()}</h2>
                {move || now_message.with(|message| message.versions.clone()).map(|versions| {
                    view! {
                        <nav class="message-versions" aria-label="Versions of this message">
                            {step(versions.before, "Version before", Glyph::ChevronLeft)}
                            <span>{versions.place} " / " {versions.of}</span>
                            {step(versions.after, "Version after", Glyph::ChevronRight)}
                        </nav>
                    }
                })}
                {quote.map(run_on)}
                {mine.then(|| view! {
                    <a class="message-act" href=format!("?message={id}&edit={id}#m-{id}") on:click=open>"Edit and resend"</a>
                })}
                <a class="message-time" href=permalink(id) title="Link to this message"><RelativeTime at=message.created_at/></a>
            </header>
            <div hidden=move || is_open.get()>{body}</div>
            {move || is_open.get().then(|| {
                let (around, text, role) = edit.get_value();
                let text = long.and_then(|long| long.whole.get_untracked()).unwrap_or(text);
                view! { <EditForm around id text role/> }
            })}
        </article>
    }
    .into_any()
}

/// The button that passes the message's text to the composer.
fn run_on(quote: Callback<()>) -> AnyView {
    view! {
        <button
            type="button"
            class="message-act"
            aria-label="Run a template on it"
            on:click=move |_| quote.run(())
        >
            "Run a template"
        </button>
    }
    .into_any()
}

/// The link to the previous or next version of a message.
fn step(version: Option<Version>, label: &'static str, glyph: Glyph) -> AnyView {
    match version {
        Some(Version { message, branch }) => {
            let href = format!("?branch={branch}&message={message}#m-{message}");
            view! { <a class="message-version" href=href aria-label=label title=label><Icon glyph/></a> }
                .into_any()
        }
        None => view! { <span class="message-version" aria-hidden="true"><Icon glyph/></span> }.into_any(),
    }
}

#[component]
fn Response(around: Around, row: Row) -> impl IntoView {
    let Around { project, may_edit, quoted, on_news, .. } = around;
    let (message, now) = (row.message, row.now);
    let (id, created) = (row.entry.message.id, row.entry.message.created_at);
    let run = row.entry.run.map(|detail| use_live().follow(&project, detail, now));
    if let Some(run) = run {
        let live = run.is_live();
        stay_at_end(move || run.state.track());
        Effect::new(move |was: Option<bool>| {
            let now = live.get();
            if was == Some(true) && !now {
                on_news.run(());
            }
            now
        });
        let writes = Memo::new(move |_| run.state.read().files.iter().map(|file| file.writes).sum::<u32>());
        Effect::new(move |before: Option<u32>| {
            let now = writes.get();
            if before.is_some_and(|before| before < now) {
                on_news.run(());
            }
            now
        });
    }
    let template = run.and_then(|run| run.state.read_untracked().template.clone());
    let template = template.filter(|template| template.key.as_ref() != ASK);
    // The output of a single step is the message itself; several steps each show their output in the status.
    let alone = run.is_some_and(|run| run.state.read_untracked().plan.steps.len() == 1);
    let now_message = RwSignal::from(message.clone());
    // The run's state has the output before the message does.
    let said = move || {
        let content = now_message.with(|message| message.content.clone());
        let shown = || run.and_then(|run| Some(run.state.read().output.as_ref()?.shown.clone()));
        if content.is_empty() { shown().unwrap_or_default() } else { content }
    };
    let is_said = Memo::new(move |_| !said().is_empty());
    let quote = quoted.map(|quoted| Callback::new(move |()| quoted.0.set(Some(untrack(said)))));
    view! {
        <article class="message message-response" id=anchor(id) aria-label="Response">
            <header class="message-head">
                <h2 class="message-by">"Response"</h2>
                {template.map(|template| view! { <span class="message-template">{template.name}</span> })}
                {move || quote.filter(|_| is_said.get()).map(run_on)}
                <a class="message-time" href=permalink(id) title="Link to this message"><RelativeTime at=created/></a>
            </header>
            {run.map(|run| view! { <Status project=project.clone() run text_elsewhere=alone may_edit/> })}
            <Body project message run alone/>
        </article>
    }
    .into_any()
}

/// The content of the message's body.
#[derive(Clone, Copy, PartialEq)]
enum Shown {
    Html,
    /// The run has ended and its output is available, but its HTML is not yet.
    Output,
    Streaming,
    /// The partial output of a run that was stopped or failed.
    PartialOutput,
    Nothing,
}

#[component]
fn Body(
    project: ProjectKey,
    message: ArcRwSignal<Message>,
    run: Option<LiveRun>,
    alone: bool,
) -> impl IntoView {
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
            } else if alone && state.steps.first().is_some_and(|step| step.partial_output().is_some()) {
                Shown::PartialOutput
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
        Shown::PartialOutput => {
            run.map(|run| view! { <PartialOutput project=project.clone() run/> }).into_any()
        }
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

/// The partial output. A browser that received the stream has the text; another one loads what exceeds the stored
/// head.
#[component]
fn PartialOutput(project: ProjectKey, run: LiveRun) -> impl IntoView {
    let id = StepRunId::of(0);
    let (partial, attempt, stopped) = run.state.with_untracked(|state| {
        let step = state.step_run(id)?;
        Some((step.partial_output()?.clone(), step.attempts.last()?.number, state.phase == Phase::Cancelled))
    })?;
    let streamed = run.text(id).with_untracked(|live| {
        (live.attempt == attempt && live.text.len() as u64 >= partial.bytes).then(|| live.text.clone())
    });
    let text = match streamed {
        Some(text) => text.into_any(),
        None => {
            let read = read_whole(project, run.number, &partial);
            let head = partial.head;
            let text = move || match read.get() {
                Some(Ok(content)) => content.text,
                None | Some(Err(_)) => format!("{head}…"),
            };
            text.into_any()
        }
    };
    Some(view! {
        <div class="message-body message-text">{text}</div>
        <p class="message-cut">{if stopped { "Stopped here." } else { "Not taken as the answer." }}</p>
    })
}
