//! The panel that tries the role with the form's current values, saved or not.

use super::{server::RoleForm, trial::Trial};
use crate::{
    form::sentence,
    ui::{Button, Card, Glyph, Notice, TextArea, Tone, format_count},
};
use domain::{key::ProjectKey, usage::Usage};
use leptos::{ev, html, prelude::*};

#[component]
pub fn TryIt(project: Memo<ProjectKey>, form: NodeRef<html::Form>) -> impl IntoView {
    let trial = Trial::idle();
    let message = RwSignal::new(String::new());
    let refused = RwSignal::new(None::<String>);
    let start = move || {
        let Some(form) = form.get_untracked() else { return };
        match RoleForm::in_page(&form).draft() {
            Ok(draft) => {
                refused.set(None);
                trial.start(&project.get_untracked(), &draft, message.read_untracked().trim());
            }
            Err(problems) => {
                let first = problems.first().map(|problem| sentence(&problem.to_string()));
                refused.set(first.map(|text| format!("The role cannot be tried as it stands. {text}")));
            }
        }
    };
    let empty = Memo::new(move |_| message.read().trim().is_empty());
    let text = Memo::new(move |_| trial.answer.read().text.clone());
    let error = Memo::new(move |_| refused.get().or_else(|| trial.answer.read().error.clone()));
    let warning = Memo::new(move |_| trial.answer.read().warning.clone());
    let usage = Memo::new(move |_| trial.answer.read().usage);
    let running = trial.running;
    let waiting = Memo::new(move |_| running.get() && text.read().is_empty());
    let keydown = move |event: ev::KeyboardEvent| {
        if crate::keyboard::sends(&event) && !empty.get_untracked() {
            event.prevent_default();
            start();
        }
    };
    view! {
        <Card title="Try it" class="try-it">
            <div class="form" on:keydown=keydown>
                <TextArea
                    label="Message"
                    name="message"
                    id="try-it-message"
                    bind=message
                    placeholder="Ask it something"
                    hint="Sent to the role as it stands in the form, saved or not. Nothing is recorded."
                />
                <div class="form-actions">
                    <Button glyph=Glyph::Send disabled=empty on_click=start>
                        "Try it"
                    </Button>
                    {move || {
                        let stop = move || trial.stop();
                        running.get().then(|| view! { <Button glyph=Glyph::Stop on_click=stop>"Stop"</Button> })
                    }}
                </div>
            </div>
            <div class="try-it-answer" aria-live="polite" aria-busy=move || running.get().then_some("true")>
                {move || waiting.get().then(|| view! { <p class="try-it-wait">"Waiting for the model…"</p> })}
                <p class="try-it-text">{move || text.get()}</p>
            </div>
            {move || error.get().map(|error| view! { <Notice tone=Tone::Error>{error}</Notice> })}
            {move || warning.get().map(|warning| view! { <Notice tone=Tone::Warning>{warning}</Notice> })}
            {move || {
                let words = |usage: Usage| {
                    let (input, output) = (format_count(usage.input_tokens), format_count(usage.output_tokens));
                    format!("{input} tokens in, {output} out")
                };
                usage.get().map(|usage| view! { <p class="field-hint">{words(usage)}</p> })
            }}
        </Card>
    }
}
