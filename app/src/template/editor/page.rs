//! The editor's page: save, the two sides, the problems below.

use super::{
    document::FormPane,
    draft::{self, Draft},
    problems::Problems,
    stale::Stale,
    state::Editor,
    yaml::YamlPane,
};
use crate::{
    fault::Fault,
    form::{FaultNotice, fault_of},
    template::server::{Checked, SaveTemplate},
    ui::{Button, Notice, Tone},
};
use domain::key::{ProjectKey, TemplateKey};
use leptos::{ev, html, prelude::*};

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
    let action = ServerAction::<SaveTemplate>::new();
    let fault = fault_of(action);
    let pending = action.pending();
    let based_on = RwSignal::new(version);
    let fixed_key = key.is_some();
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
        if (event.ctrl_key() || event.meta_key()) && event.key() == "s" {
            event.prevent_default();
            save();
        }
    };
    let kept = keep_draft(editor, project, key, source, based_on);
    let side = RwSignal::new("form");
    view! {
        <div class="template-editor" on:keydown=keydown data-side=move || side.get()>
            <Stale editor project key fault based_on on_overwrite=Callback::new(move |()| save())/>
            <SaveFault fault/>
            {move || {
                kept.get()
                    .map(|draft| view! { <KeptDraft editor project key draft based_on kept/> })
            }}
            <div class="template-sides-switch" role="group" aria-label="Side of the editor">
                {[("form", "Form"), ("yaml", "YAML")]
                    .map(|(word, label)| {
                        view! {
                            <button
                                type="button"
                                class="side-switch"
                                aria-pressed=move || if side.get() == word { "true" } else { "false" }
                                on:click=move |_| side.set(word)
                            >
                                {label}
                            </button>
                        }
                    })}
            </div>
            <div class="template-sides">
                <FormPane editor fixed_key/>
                <div class="template-yaml">
                    <ActionForm action node_ref=form attr:class="template-yaml-form">
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
                        <div class="form-actions template-save">
                            <button
                                type="submit"
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
                    </ActionForm>
                    <Problems editor area/>
                </div>
            </div>
        </div>
    }
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
