//! The designer's page: the canvas or the YAML, what is chosen beside it, the problems below.

use super::{
    address::follow_address,
    designer::{CanvasPane, ToolBar},
    draft::{self, Draft},
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
    form::{FaultNotice, fault_of},
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
    /// None: a new template.
    key: Option<TemplateKey>,
    source: String,
    checked: Checked,
    /// The version that is being changed.
    version: Option<u32>,
) -> impl IntoView {
    let editor = Editor::new(source.clone(), checked);
    follow_address(editor);
    Effect::new(move |_| editor.awake.set(true));
    let action = ServerAction::<SaveTemplate>::new();
    let fault = fault_of(action);
    let pending = action.pending();
    let based_on = RwSignal::new(version);
    let fixed_key = key.is_some();
    let origin = Origin { project, key: StoredValue::new(key.clone()) };
    provide_context(origin);
    let tools = Tools::new(editor);
    let key = StoredValue::new(key);
    let form = NodeRef::<html::Form>::new();
    let area = NodeRef::<html::Textarea>::new();
    let wanted = RwSignal::new(false);
    // Saving waits until the last edit has reached the text.
    Effect::new(move |_| {
        if wanted.get() && !editor.settling.get() {
            wanted.set(false);
            if let Some(form) = form.get_untracked() {
                let _ = form.request_submit();
            }
        }
    });
    let save = move || wanted.set(true);
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
    let kept = keep_draft(editor, project, key, source, based_on);
    let form_id = "template-save";
    view! {
        <div
            class="designer"
            on:keydown=keydown
            data-side=move || editor.side.get().word()
            aria-busy=move || (!editor.awake.get()).then_some("true")
        >
            <Stale editor project key fault based_on on_overwrite=Callback::new(move |()| save())/>
            <SaveFault fault/>
            {move || {
                kept.get()
                    .map(|draft| view! { <KeptDraft editor project key draft based_on kept/> })
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
                        {key
                            .get_value()
                            .map(|key| view! { <input type="hidden" name="key" value=key.to_string()/> })}
                        {move || {
                            based_on
                                .get()
                                .map(|version| {
                                    view! { <input type="hidden" name="based_on" value=version.to_string()/> }
                                })
                        }}
                        <YamlPane editor area/>
                    </ActionForm>
                    <Problems editor area/>
                </div>
                <Inspector tools fixed_key/>
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

/// Comments could not be kept: said where it can still be undone.
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

/// The key was pressed in the YAML.
fn in_text(event: &ev::KeyboardEvent) -> bool {
    let target = event.target().and_then(|target| target.dyn_into::<web_sys::Element>().ok());
    target.is_some_and(|element| element.id() == "template-source")
}

/// Problems of the document stand in the problems list already, where the check found them too.
#[component]
fn SaveFault(fault: Signal<Option<Fault>>) -> impl IntoView {
    let other = Signal::derive(move || fault.get().filter(|fault| fault.problems().is_empty()));
    let refused = Memo::new(move |_| fault.get().map_or(0, |fault| fault.problems().len()));
    view! {
        <FaultNotice fault=other/>
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
                                        view! { <li>{crate::form::sentence(&problem.to_string())}</li> }
                                    })
                                    .collect_view()}
                            </ul>
                        </Notice>
                    }
                })
        }}
    }
}

/// Keeps what is written, and gives the draft of an earlier visit when it says something else.
fn keep_draft(
    editor: Editor,
    project: Memo<ProjectKey>,
    key: StoredValue<Option<TemplateKey>>,
    stored: String,
    based_on: RwSignal<Option<u32>>,
) -> RwSignal<Option<Draft>> {
    let kept = RwSignal::new(None);
    Effect::new(move |first: Option<()>| {
        let source = editor.source.get();
        let key = key.get_value();
        let project = project.get_untracked();
        if first.is_none() {
            kept.set(draft::read(&project, key.as_ref()).filter(|draft| draft.source != source));
        } else if source == stored {
            draft::forget(&project, key.as_ref());
        } else {
            draft::write(&project, key.as_ref(), &Draft { source, based_on: based_on.get_untracked() });
        }
    });
    kept
}

#[component]
fn KeptDraft(
    editor: Editor,
    project: Memo<ProjectKey>,
    key: StoredValue<Option<TemplateKey>>,
    draft: Draft,
    based_on: RwSignal<Option<u32>>,
    kept: RwSignal<Option<Draft>>,
) -> impl IntoView {
    let draft = StoredValue::new(draft);
    let take = move || {
        let draft = draft.get_value();
        based_on.update(|version| *version = draft.based_on.or(*version));
        editor.write(draft.source);
        kept.set(None);
    };
    let drop_it = move || {
        draft::forget(&project.get_untracked(), key.get_value().as_ref());
        kept.set(None);
    };
    let action = move || {
        view! {
            <Button on_click=drop_it>"Discard it"</Button>
            <Button on_click=take>"Use the draft"</Button>
        }
    };
    view! {
        <Notice tone=Tone::Info title="An unsaved draft is kept in this browser" action>
            "It differs from what is shown."
        </Notice>
    }
}
