//! Verdicts on the better run, at a step or as a whole: the user's own, saved immediately, and those of others.

use super::{
    columns::Table,
    letter,
    server::{give_verdict, withdraw_verdict},
};
use crate::{
    fault::Fault,
    form::FaultNotice,
    ui::{Glyph, Icon, RelativeTime, Toast, Tone, use_toasts},
};
use domain::{comparison::Verdict, id::RunNumber};
use leptos::{ev, prelude::*, task::spawn_local};

#[component]
pub fn Judge(
    table: Table,
    /// `None` for the run as a whole.
    step: Option<String>,
) -> impl IntoView {
    let step = StoredValue::new(step);
    let own = Memo::new(move |_| {
        table
            .verdicts
            .read()
            .iter()
            .find(|one| one.mine && step.with_value(|step| one.step == *step))
            .cloned()
    });
    let others = Memo::new(move |_| {
        let others = table.verdicts.get().into_iter();
        others.filter(|one| !one.mine && step.with_value(|step| one.step == *step)).collect::<Vec<_>>()
    });
    let editable = table.may_edit.then(|| view! { <Own table step own/> });
    view! {
        <div class="compare-verdict">
            {editable}
            {move || others.get().into_iter().map(|verdict| view! { <Said table verdict/> }).collect_view()}
        </div>
    }
    .into_any()
}

#[component]
fn Said(table: Table, verdict: Verdict) -> impl IntoView {
    let numbers = table.numbers();
    let words = match verdict.winner {
        None => "as good as each other".to_owned(),
        Some(winner) => format!("{} is better", named(&numbers, winner)),
    };
    let note = (!verdict.note.is_empty()).then(|| format!(": {}", verdict.note));
    view! {
        <p class="compare-said">
            <strong>{verdict.by}</strong> " " {words} {note} " "
            <span class="muted"><RelativeTime at=verdict.at/></span>
        </p>
    }
}

/// "B (run 13)".
fn named(numbers: &[RunNumber], run: RunNumber) -> String {
    match numbers.iter().position(|number| *number == run) {
        Some(column) => format!("{} (run {run})", letter(column)),
        None => format!("run {run}"),
    }
}

#[component]
fn Own(table: Table, step: StoredValue<Option<String>>, own: Memo<Option<Verdict>>) -> impl IntoView {
    let toasts = use_toasts();
    let fault = RwSignal::new(None::<Fault>);
    let busy = RwSignal::new(false);
    let note = RwSignal::new(own.get_untracked().map(|own| own.note).unwrap_or_default());
    let say = move |winner: Option<RunNumber>, note: String| {
        busy.set(true);
        spawn_local(async move {
            let (project, runs) = (table.project.get_value(), table.numbers());
            let said = give_verdict(project, runs, step.get_value(), winner, note).await;
            _ = fault.try_set(said.err());
            _ = busy.try_set(false);
            table.reload_verdicts();
        });
    };
    let take_back = move || {
        let before = own.get_untracked();
        busy.set(true);
        spawn_local(async move {
            let (project, runs) = (table.project.get_value(), table.numbers());
            let taken = withdraw_verdict(project, runs, step.get_value()).await;
            _ = busy.try_set(false);
            table.reload_verdicts();
            match taken {
                Ok(()) => {
                    let undo = move || {
                        if let Some(before) = before.clone() {
                            say(before.winner, before.note);
                        }
                    };
                    toasts.show(Toast::new(Tone::Info, "Verdict taken back").action("Undo", undo));
                }
                Err(why) => _ = fault.try_set(Some(why)),
            }
        });
    };
    // A note without a choice is not a verdict: it is saved with the choice, and again when it changes afterwards.
    let noted = move |_: ev::Event| {
        if let Some(own) = own.get_untracked()
            && own.note != note.get_untracked().trim()
        {
            say(own.winner, note.get_untracked());
        }
    };
    let numbers = table.numbers();
    let choices = numbers.iter().copied().map(Some).chain([None]);
    let choice = |winner: Option<RunNumber>| {
        let label = match winner {
            Some(winner) => format!("{} is better", named(&numbers, winner)),
            None => "Same".to_owned(),
        };
        let pressed = Memo::new(move |_| own.read().as_ref().is_some_and(|own| own.winner == winner));
        let click = move |_| {
            if busy.get_untracked() {
                return;
            }
            if pressed.get_untracked() { take_back() } else { say(winner, note.get_untracked()) }
        };
        view! {
            <button
                type="button"
                class="run-chip"
                aria-pressed=move || if pressed.get() { "true" } else { "false" }
                on:click=click
            >
                {move || pressed.get().then(|| view! { <Icon glyph=Glyph::Check/> })}
                {label}
            </button>
        }
    };
    let choices = choices.map(choice).collect_view();
    let whose = step.get_value().unwrap_or_else(|| "the whole".to_owned());
    view! {
        <div class="compare-own" role="group" aria-label=format!("Your verdict on {whose}")>
            {choices}
            <input
                class="input"
                type="text"
                maxlength="1000"
                placeholder="Why?"
                aria-label=format!("Note on {whose}")
                prop:value=move || note.get()
                on:input:target=move |event| note.set(event.target().value())
                on:change=noted
            />
        </div>
        <FaultNotice fault/>
    }
}
