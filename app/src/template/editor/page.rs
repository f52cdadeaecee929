//! The designer's page: canvas or YAML, the inspector next to it, the problems below.

use super::{
    address::follow_address,
    designer::{CanvasPane, ToolBar},
    draft::{self, Draft},
    forget_draft, hear_loose_keys,
    input::InputPane,
    inspector::Inspector,
    presence::Presence,
    preview::Origin,
    problems::Problems,
    stale::Stale,
    state::{Editor, Side},
    tools::Tools,
    yaml::YamlPane,
};
use crate::{
    fault::Fault,
    form::{FaultNotice, fault_of, sentence},
    keyboard::is_typing,
    template::server::{Checked, SaveTemplate},
    ui::{Button, Notice, Tone},
};
use domain::key::{ProjectKey, TemplateKey};
use leptos::{ev, html, prelude::*};
use wasm_bindgen::JsCast;

#[component]
pub fn TemplateEditor(
    project: Memo<ProjectKey>,
    /// `None` for a new template.
    key: Option<TemplateKey>,
    source: String,
    checked: Checked,
    /// The version being edited.
    version: Option<u32>,
    /// Called with the key of the new template, if the edited one was deleted and saving created it again.
    #[prop(optional, into)]
    on_made_anew: Option<Callback<TemplateKey>>,
) -> impl IntoView {
    let editor = Editor::new(project, source.clone(), checked);
    follow_address(editor);
    Effect::new(move |_| editor.awake.set(true));
    let action = ServerAction::<SaveTemplate>::new();
    let fault = fault_of(action);
    let pending = action.pending();
    let based_on = RwSignal::new(version);
    // Saving creates a template, because there is none yet, or it was deleted.
    let fresh = RwSignal::new(key.is_none());
    let origin = Origin { project, key: StoredValue::new(key.clone()) };
    provide_context(origin);
    let tools = Tools::new(editor);
    let key = StoredValue::new(key);
    let form = NodeRef::<html::Form>::new();
    let area = NodeRef::<html::Textarea>::new();
    let wanted = RwSignal::new(false);
    // A save waits until the last edit has reached the text.
    Effect::new(move |_| {
        if wanted.get() && !editor.settling.get() {
            wanted.set(false);
            if let Some(form) = form.get_untracked() {
                let _ = form.request_submit();
            }
        }
    });
    // After saving a deleted template, the user continues to edit the new one here.
    let stays = move || fresh.get() && on_made_anew.is_some();
    Effect::new(move |_| {
        let made = action.value().with(|value| match value {
            Some(Ok(made)) => Some((made.key.clone(), made.source.clone())),
            _ => None,
        });
        if let (Some((made, source)), Some(on_made_anew), true) = (made, on_made_anew, fresh.get_untracked())
        {
            // Deletes the draft of the deleted template, whose key may differ.
            if let Some(gone) = key.get_value() {
                forget_draft(&project.get_untracked(), &gone, &source);
            }
            on_made_anew.run(made);
        }
    });
    let save = move || wanted.set(true);
    let make_anew = move || {
        if !pending.get_untracked() {
            fresh.set(true);
            based_on.set(None);
            save();
        }
    };
    let on_submit_click = move |event: ev::MouseEvent| {
        event.prevent_default();
        if !pending.get_untracked() {
            save();
        }
    };
    let keydown = move |event: ev::KeyboardEvent| {
        if event.default_prevented() || !(event.ctrl_key() || event.meta_key()) {
            return;
        }
        match (event.key().to_lowercase().as_str(), event.shift_key()) {
            ("s", _) => save(),
            // A field of the inspector undoes its own typing.
            ("z" | "y", _) if is_typing(&event) && !in_text(&event) => return,
            ("z", false) => editor.undo(),
            ("z", true) | ("y", _) => editor.redo(),
            _ => return,
        }
        event.prevent_default();
    };
    // Keys pressed outside of the form do not reach its listener.
    hear_loose_keys(keydown);
    let stored = StoredValue::new(source);
    let kept = keep_drafts(editor, project, key, stored, based_on);
    let form_id = "template-save";
    view! {
        <div
            class="designer"
            on:keydown=keydown
            data-side=move || editor.side.get().word()
            aria-busy=move || (!editor.awake.get()).then_some("true")
        >
            <Stale editor project key fault based_on on_overwrite=Callback::new(move |()| save())/>
            <SaveFault fault key pending make_anew=Callback::new(move |()| make_anew())/>
            {move || {
                let of = kept.read().len();
                (0..of).map(|at| view! { <KeptDraft editor at of stored based_on kept/> }).collect_view()
            }}
            <Rewritten editor/>
            <div class="designer-bar">
                <SideSwitch editor/>
                <ToolBar tools/>
                <p class="designer-said" role="status">
                    {move || if editor.awake.get() { editor.said.get() } else { "Loading the editor…".to_owned() }}
                </p>
                <Presence origin based_on/>
                <button
                    type="submit"
                    form=form_id
                    class="button button-primary button-medium"
                    aria-busy=move || (pending.get() || wanted.get()).then_some("true")
                    title="Ctrl+S"
                    on:click=on_submit_click
                >
                    <span class="button-label">
                        {move || match (pending.get(), based_on.get()) {
                            (true, _) => "Saving…".to_owned(),
                            (false, None) => "Save the template".to_owned(),
                            (false, Some(version)) => format!("Save as version {}", version + 1),
                        }}
                    </span>
                </button>
            </div>
            <div class="designer-main">
                <div class="designer-side">
                    <CanvasPane tools/>
                    <InputPane editor/>
                    <ActionForm action node_ref=form attr:class="designer-yaml" attr:id=form_id>
                        <input type="hidden" name="project" value=move || project.get().to_string()/>
                        {move || {
                            key.get_value()
                                .filter(|_| !fresh.get())
                                .map(|key| view! { <input type="hidden" name="key" value=key.to_string()/> })
                        }}
                        {move || {
                            based_on
                                .get()
                                .map(|version| {
                                    view! { <input type="hidden" name="based_on" value=version.to_string()/> }
                                })
                        }}
                        {move || stays().then(|| view! { <input type="hidden" name="stay" value="true"/> })}
                        <YamlPane editor area/>
                    </ActionForm>
                    <Problems editor area/>
                </div>
                <Inspector tools fixed_key=Signal::derive(move || !fresh.get())/>
            </div>
        </div>
    }
}

#[component]
fn SideSwitch(editor: Editor) -> impl IntoView {
    view! {
        <div
            class="side-switches"
            role="group"
            aria-label="Side of the editor"
            inert=move || !editor.awake.get()
        >
            {Side::ALL
                .map(|side| {
                    view! {
                        <button
                            type="button"
                            class="side-switch"
                            aria-pressed=move || if editor.side.get() == side { "true" } else { "false" }
                            on:click=move |_| editor.side.set(side)
                        >
                            {side.label()}
                        </button>
                    }
                })}
        </div>
    }
}

/// The notice that comments were lost, with the option to undo.
#[component]
fn Rewritten(editor: Editor) -> impl IntoView {
    let action = move || view! { <Button on_click=move || editor.undo()>"Undo"</Button> };
    move || {
        editor.rewritten.get().then(|| {
            view! {
                <Notice tone=Tone::Warning title="The YAML was written anew" action>
                    "That change could not be made in its place in the text, so comments and the style of the text are gone."
                </Notice>
            }
        })
    }
}

/// Whether the key was pressed in the YAML text.
fn in_text(event: &ev::KeyboardEvent) -> bool {
    let target = event.target().and_then(|target| target.dyn_into::<web_sys::Element>().ok());
    target.is_some_and(|element| element.id() == "template-source")
}

/// Problems of the document are omitted here if the problems list already shows them.
#[component]
fn SaveFault(
    fault: Signal<Option<Fault>>,
    key: StoredValue<Option<TemplateKey>>,
    pending: Memo<bool>,
    make_anew: Callback<()>,
) -> impl IntoView {
    // Another user deleted the template meanwhile.
    let gone = Memo::new(move |_| match fault.get() {
        Some(Fault::NotFound { message }) if key.get_value().is_some() => Some(sentence(&message)),
        _ => None,
    });
    let other = Signal::derive(move || {
        fault.get().filter(|fault| fault.problems().is_empty() && gone.read().is_none())
    });
    let refused = Memo::new(move |_| fault.get().map_or(0, |fault| fault.problems().len()));
    view! {
        <FaultNotice fault=other/>
        {move || {
            gone.get()
                .map(|title| {
                    let action = move || {
                        view! { <Button busy=pending on_click=make_anew>"Save as a new template"</Button> }
                    };
                    view! {
                        <Notice tone=Tone::Error title action>
                            "What you wrote is still here, and not saved."
                        </Notice>
                    }
                })
        }}
        {move || {
            let list = fault.get().map(|fault| fault.problems().to_vec()).unwrap_or_default();
            (refused.get() > 0)
                .then(|| {
                    view! {
                        <Notice tone=Tone::Error title="It was not saved">
                            <ul class="notice-list">
                                {list
                                    .into_iter()
                                    .take(5)
                                    .map(|problem| {
                                        view! { <li>{sentence(&problem.to_string())}</li> }
                                    })
                                    .collect_view()}
                            </ul>
                        </Notice>
                    }
                })
        }}
    }
}

/// Keeps the current text as a draft, and returns the drafts of earlier visits that differ. Those stay stored until
/// each has been used or discarded.
fn keep_drafts(
    editor: Editor,
    project: Memo<ProjectKey>,
    key: StoredValue<Option<TemplateKey>>,
    stored: StoredValue<String>,
    based_on: RwSignal<Option<u32>>,
) -> RwSignal<Vec<Draft>> {
    let kept = RwSignal::new(Vec::<Draft>::new());
    Effect::new(move |first: Option<()>| {
        let source = editor.source.get();
        let key = key.get_value();
        let project = project.get_untracked();
        if first.is_none() {
            let mut earlier = draft::read(&project, key.as_ref());
            earlier.retain(|draft| draft.source != source);
            kept.set(earlier);
        }
        let mut drafts = kept.get();
        if source != stored.get_value() {
            drafts.push(Draft { source, based_on: based_on.get_untracked() });
        }
        draft::write(&project, key.as_ref(), &drafts);
    });
    kept
}

#[component]
fn KeptDraft(
    editor: Editor,
    /// The draft's index among the kept ones, and their number.
    at: usize,
    of: usize,
    stored: StoredValue<String>,
    based_on: RwSignal<Option<u32>>,
    kept: RwSignal<Vec<Draft>>,
) -> impl IntoView {
    let take = move || {
        let Some(draft) = kept.with_untracked(|kept| kept.get(at).cloned()) else { return };
        let source = editor.source.get_untracked();
        let written = Draft { source, based_on: based_on.get_untracked() };
        kept.update(|kept| {
            kept.remove(at);
            // The text written before this decision is kept as another draft.
            if written.source != stored.get_value() && written.source != draft.source {
                kept.push(written);
            }
        });
        based_on.update(|version| *version = draft.based_on.or(*version));
        editor.write(draft.source);
    };
    let drop_it = move || {
        kept.update(|kept| {
            if at < kept.len() {
                kept.remove(at);
            }
        });
    };
    let action = move || {
        view! {
            <Button on_click=drop_it>"Discard it"</Button>
            <Button on_click=take>"Use the draft"</Button>
        }
    };
    let which = (of > 1).then(|| format!("Draft {} of {of}, the oldest first. ", at + 1));
    view! {
        <Notice tone=Tone::Info title="An unsaved draft is kept in this browser" action>
            {which}
            "It differs from what is shown."
        </Notice>
    }
}
