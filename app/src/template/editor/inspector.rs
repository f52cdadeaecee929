//! The inspector: the fields of the chosen step, or of the template if no step is chosen.

use super::{
    anew, change, designer::step_of, document::TemplateFields, state::Editor, step::StepFields, tools::Tools,
};
use crate::{
    form::sentence,
    ui::{
        Button, ButtonSize, ButtonVariant, Dialog, DialogSize, Glyph, Icon, IconButton, Notice, Select,
        SelectOption, Tone,
    },
};
use domain::{
    problem::Problem,
    template::{upstream, waits},
};
use leptos::prelude::*;
use std::collections::BTreeSet;

#[component]
pub fn Inspector(
    tools: Tools,
    /// The key of a stored template is fixed.
    fixed_key: Signal<bool>,
) -> impl IntoView {
    let editor = tools.editor;
    let unreadable = move || {
        (!editor.readable.get()).then(|| {
            view! {
                <Notice tone=Tone::Warning>
                    "The YAML cannot be read as a template just now. The canvas and the form show it as it last could be, and follow again once the text is mended."
                </Notice>
            }
        })
    };
    let drawings = StoredValue::new(0_u32);
    let shown = move || {
        editor.shape.track();
        let chosen = editor.chosen.get();
        let fixed_key = fixed_key.get();
        let document = editor.document()?;
        let step = chosen.and_then(|index| Some((index, document.steps.get(index)?.clone())));
        let fields = match step {
            Some((index, step)) => view! {
                <StepHead editor index/>
                <StepProblems editor index/>
                <StepFields editor index step document/>
            }
            .into_any(),
            None => view! { <TemplateFields editor document fixed_key/> }.into_any(),
        };
        Some(anew(drawings, fields))
    };
    view! {
        <aside class="inspector" aria-label="Inspector">
            {unreadable}
            <div class="inspector-fields" inert=move || !editor.readable.get() || !editor.awake.get()>
                {shown}
            </div>
            <RemoveDialog tools/>
        </aside>
    }
}

#[component]
fn StepHead(editor: Editor, index: usize) -> impl IntoView {
    let of = editor.with_document(|template| template.steps.len()).unwrap_or_default();
    view! {
        <header class="inspector-head">
            <h2 class="inspector-title">{format!("Step {} of {of}", index + 1)}</h2>
            <IconButton
                glyph=Glyph::Close
                label="To the template's own fields (Esc on the canvas)"
                size=ButtonSize::Small
                on_click=move || editor.chosen.set(None)
            />
        </header>
    }
}

#[component]
fn StepProblems(editor: Editor, index: usize) -> impl IntoView {
    let own = Memo::new(move |_| {
        let said = |is_hint: bool, found: &[Problem]| {
            let own = found.iter().filter(|problem| step_of(&problem.path) == Some(index));
            own.map(|problem| (is_hint, sentence(&problem.message))).collect::<Vec<_>>()
        };
        let mut own = said(false, &editor.problems.read());
        own.extend(said(true, &editor.hints.read()));
        own
    });
    let item = |(is_hint, text): (bool, String)| {
        let glyph = if is_hint { Glyph::Info } else { Glyph::Warning };
        let kind = is_hint.then(|| view! { <strong>"Hint: "</strong> });
        view! { <li class:inspector-hint=is_hint><Icon glyph/><span>{kind}{text}</span></li> }
    };
    view! {
        <ul class="inspector-problems" role="list">
            {move || own.get().into_iter().map(item).collect_view()}
        </ul>
    }
}

/// The confirmation before removing steps that others use, with the choice of what these shall read instead.
#[component]
fn RemoveDialog(tools: Tools) -> impl IntoView {
    let (editor, doomed) = (tools.editor, tools.doomed);
    let open = RwSignal::new(false);
    Effect::new(move |_| open.set(!doomed.read().is_empty()));
    Effect::new(move |_| {
        // Only if steps are chosen: setting the empty set again would loop forever.
        if !open.get() && !doomed.read_untracked().is_empty() {
            doomed.set(BTreeSet::new());
        }
    });
    let instead = RwSignal::new(String::new());
    let several = move |one: &'static str, many: &'static str| {
        Signal::derive(move || match doomed.read().len() {
            0 | 1 => one.to_owned(),
            count => many.replace('#', &count.to_string()),
        })
    };
    let text = Memo::new(move |_| {
        let gone = doomed.get();
        let users = editor.with_document(|template| change::users(template, &gone))?;
        let shown = if users.len() > 6 { format!("{} steps", users.len()) } else { users.join(", ") };
        Some(match gone.len() {
            0 | 1 => format!("Used by {shown}. Steps that waited for it will wait for what it waited for."),
            _ => format!("Used by {shown}. Steps that waited for them will wait for what they waited for."),
        })
    });
    let options = Signal::derive(move || {
        let leave = SelectOption::new("", "Leave them as they are: the problems list will name them");
        let gone = doomed.get();
        let others = editor.with_document(|template| {
            let waits = waits(template);
            // The steps upstream of all removed ones, nearest first.
            let mut before: Option<Vec<u32>> = None;
            for &index in &gone {
                let upstream = upstream(&waits, index as u32);
                match &mut before {
                    None => before = Some(upstream.into_iter().collect()),
                    Some(before) => before.retain(|step| upstream.contains(step)),
                }
            }
            let before = before.unwrap_or_default();
            let kept = before.iter().rev().filter(|&&step| !gone.contains(&(step as usize)));
            let names = kept.map(|&step| template.steps[step as usize].name.clone());
            names
                .map(|name| SelectOption::new(name.clone(), format!("Read the output of {name}")))
                .collect::<Vec<_>>()
        });
        std::iter::once(leave).chain(others.unwrap_or_default()).collect()
    });
    let confirm = move || {
        let instead = instead.get_untracked();
        tools.remove_now(&doomed.get_untracked(), (!instead.is_empty()).then_some(instead));
        open.set(false);
    };
    let label = several("Remove the step", "Remove # steps");
    let footer = move || {
        view! {
            <Button on_click=move || open.set(false)>"Keep"</Button>
            <Button variant=ButtonVariant::Danger on_click=confirm>
                {move || label.get()}
            </Button>
        }
    };
    view! {
        <Dialog open title=several("Remove the step?", "Remove # steps?") size=DialogSize::Small footer>
            <p>{move || text.get()}</p>
            <Select
                label=several("Texts that read its output", "Texts that read their outputs")
                name="remove-instead"
                options
                bind=instead
            />
        </Dialog>
    }
}
