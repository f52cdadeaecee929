//! Form fields over native inputs: a label, a hint, and an error that `aria-describedby` refers to.
//!
//! Every field works in a plain form by its `name`. `bind` ties it to a signal; text that was typed before hydration
//! takes precedence over the signal's initial value, so no typed text is lost.

use leptos::{ev::KeyboardEvent, html, prelude::*};

use super::icon::{Glyph, Icon};
use crate::keyboard::send_form;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum InputKind {
    #[default]
    Text,
    Email,
    Password,
    Number,
    Search,
    Url,
}

impl InputKind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Email => "email",
            Self::Password => "password",
            Self::Number => "number",
            Self::Search => "search",
            Self::Url => "url",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SelectOption {
    pub value: String,
    pub label: String,
    pub disabled: bool,
}

impl SelectOption {
    pub fn new(value: impl Into<String>, label: impl Into<String>) -> Self {
        Self { value: value.into(), label: label.into(), disabled: false }
    }

    pub fn disabled(mut self) -> Self {
        self.disabled = true;
        self
    }
}

fn field_id(id: Option<String>, name: &str) -> String {
    id.unwrap_or_else(|| format!("field-{name}"))
}

/// The ids of the field's hint and error, for `aria-describedby`.
fn described_by(
    id: &str,
    hint: MaybeProp<String>,
    error: MaybeProp<String>,
) -> impl Fn() -> Option<String> + Send + Sync + use<> {
    let (hint_id, error_id) = (format!("{id}-hint"), format!("{id}-error"));
    move || match (hint.with(|hint| hint.is_some()), error.with(|error| error.is_some())) {
        (true, true) => Some(format!("{error_id} {hint_id}")),
        (true, false) => Some(hint_id.clone()),
        (false, true) => Some(error_id.clone()),
        (false, false) => None,
    }
}

fn invalid(error: MaybeProp<String>) -> impl Fn() -> Option<&'static str> + Send + Sync + Copy {
    move || error.with(|error| error.is_some()).then_some("true")
}

/// The frame of a field: label above, hint and error below. `for_id` is the id of the control among the children,
/// which should name `{for_id}-hint` and `{for_id}-error` in its `aria-describedby`.
#[component]
pub fn Field(
    #[prop(into)] label: Signal<String>,
    #[prop(into)] for_id: String,
    #[prop(optional, into)] hint: MaybeProp<String>,
    #[prop(optional, into)] error: MaybeProp<String>,
    /// Show "(optional)" next to the label.
    #[prop(optional)]
    optional: bool,
    #[prop(optional)] hide_label: bool,
    #[prop(optional, into)] class: String,
    children: Children,
) -> impl IntoView {
    let (hint_id, error_id) = (format!("{for_id}-hint"), format!("{for_id}-error"));
    view! {
        <div class=format!("field {class}")>
            <label class=if hide_label { "field-label visually-hidden" } else { "field-label" } for=for_id>
                {move || label.get()}
                {optional.then(|| view! { <span class="field-optional">" (optional)"</span> })}
            </label>
            {children()}
            {move || error.get().map(|error| view! {
                <p class="field-error" id=error_id.clone()><Icon glyph=Glyph::Warning/><span>{error}</span></p>
            })}
            {move || hint.get().map(|hint| view! { <p class="field-hint" id=hint_id.clone()>{hint}</p> })}
        </div>
    }
}

/// Keeps a text control and a signal in sync. Initially the control takes precedence, for text typed before hydration.
macro_rules! keep_equal {
    ($node:ident, $bind:ident, $initial:ident) => {
        Effect::new(move |first: Option<()>| {
            let (Some(bind), Some(element)) = ($bind, $node.get()) else { return };
            let wanted = bind.get();
            let shown = element.value();
            if shown == wanted {
                return;
            }
            if first.is_none() && shown != $initial.get_value() {
                bind.set(shown);
            } else {
                element.set_value(&wanted);
            }
        });
    };
}

#[component]
pub fn TextField(
    #[prop(into)] label: Signal<String>,
    #[prop(into)] name: String,
    #[prop(optional)] kind: InputKind,
    #[prop(optional, into)] id: Option<String>,
    /// The initial value, without `bind`.
    #[prop(optional, into)]
    value: Option<String>,
    #[prop(optional, into)] bind: Option<RwSignal<String>>,
    #[prop(optional, into)] hint: MaybeProp<String>,
    #[prop(optional, into)] error: MaybeProp<String>,
    #[prop(optional, into)] placeholder: MaybeProp<String>,
    #[prop(optional)] required: bool,
    #[prop(optional)] optional: bool,
    #[prop(optional)] hide_label: bool,
    #[prop(optional)] mono: bool,
    #[prop(optional)] autofocus: bool,
    #[prop(optional, into)] autocomplete: Option<String>,
    #[prop(optional, into)] pattern: Option<String>,
    /// The keyboard that a phone shows, for a text field whose text is not just any text.
    #[prop(optional, into)]
    input_mode: Option<String>,
    #[prop(optional, into)] min: Option<String>,
    #[prop(optional, into)] max: Option<String>,
    #[prop(optional, into)] step: Option<String>,
    #[prop(optional, into)] max_length: Option<u32>,
    #[prop(optional, into)] disabled: Signal<bool>,
    #[prop(optional, into)] read_only: Signal<bool>,
    #[prop(optional, into)] on_input: Option<Callback<String>>,
    #[prop(optional, into)] class: String,
) -> impl IntoView {
    let id = field_id(id, &name);
    let initial = bind.map(|bind| bind.get_untracked()).or(value).unwrap_or_default();
    let first = StoredValue::new(initial.clone());
    let node = NodeRef::<html::Input>::new();
    keep_equal!(node, bind, first);
    let input = move |event| {
        let value = event_target_value(&event);
        if let Some(bind) = bind {
            bind.set(value.clone());
        }
        if let Some(on_input) = on_input {
            on_input.run(value);
        }
    };
    view! {
        <Field label for_id=id.clone() hint error optional hide_label class>
            <input
                node_ref=node
                class=if mono { "input mono" } else { "input" }
                type=kind.as_str()
                id=id.clone()
                name=name
                value=initial
                placeholder=move || placeholder.get()
                required=required
                autofocus=autofocus
                autocomplete=autocomplete
                spellcheck=mono.then_some("false")
                pattern=pattern
                inputmode=input_mode
                min=min
                max=max
                step=step
                maxlength=max_length.map(|length| length.to_string())
                disabled=move || disabled.get()
                readonly=move || read_only.get()
                aria-describedby=described_by(&id, hint, error)
                aria-invalid=invalid(error)
                on:input=input
            />
        </Field>
    }
}

/// Grows with its text from `rows` up to about sixteen lines, then scrolls.
#[component]
pub fn TextArea(
    #[prop(into)] label: Signal<String>,
    #[prop(into)] name: String,
    #[prop(optional, into)] id: Option<String>,
    #[prop(optional, into)] value: Option<String>,
    #[prop(optional, into)] bind: Option<RwSignal<String>>,
    #[prop(optional, into)] hint: MaybeProp<String>,
    #[prop(optional, into)] error: MaybeProp<String>,
    #[prop(optional, into)] placeholder: MaybeProp<String>,
    #[prop(default = 3)] rows: u32,
    #[prop(optional)] required: bool,
    #[prop(optional)] optional: bool,
    #[prop(optional)] hide_label: bool,
    #[prop(optional)] mono: bool,
    #[prop(optional)] autofocus: bool,
    /// Ctrl or Cmd with Enter submits the surrounding form.
    #[prop(optional)]
    submit_on_enter: bool,
    #[prop(optional, into)] disabled: Signal<bool>,
    #[prop(optional, into)] read_only: Signal<bool>,
    #[prop(optional, into)] on_input: Option<Callback<String>>,
    #[prop(optional, into)] class: String,
) -> impl IntoView {
    let id = field_id(id, &name);
    let initial = bind.map(|bind| bind.get_untracked()).or(value).unwrap_or_default();
    let first = StoredValue::new(initial.clone());
    let node = NodeRef::<html::Textarea>::new();
    keep_equal!(node, bind, first);
    let input = move |event| {
        let value = event_target_value(&event);
        if let Some(bind) = bind {
            bind.set(value.clone());
        }
        if let Some(on_input) = on_input {
            on_input.run(value);
        }
    };
    let keydown = move |event: KeyboardEvent| {
        if submit_on_enter {
            send_form(&event);
        }
    };
    view! {
        <Field label for_id=id.clone() hint error optional hide_label class>
            <textarea
                node_ref=node
                class=if mono { "input textarea mono" } else { "input textarea" }
                id=id.clone()
                name=name
                rows=rows
                placeholder=move || placeholder.get()
                required=required
                autofocus=autofocus
                spellcheck=mono.then_some("false")
                disabled=move || disabled.get()
                readonly=move || read_only.get()
                aria-describedby=described_by(&id, hint, error)
                aria-invalid=invalid(error)
                on:input=input
                on:keydown=keydown
            >
                {initial}
            </textarea>
        </Field>
    }
}

#[component]
pub fn Select(
    #[prop(into)] label: Signal<String>,
    #[prop(into)] name: String,
    #[prop(into)] options: Signal<Vec<SelectOption>>,
    #[prop(optional, into)] id: Option<String>,
    #[prop(optional, into)] value: Option<String>,
    #[prop(optional, into)] bind: Option<RwSignal<String>>,
    #[prop(optional, into)] hint: MaybeProp<String>,
    #[prop(optional, into)] error: MaybeProp<String>,
    #[prop(optional)] required: bool,
    #[prop(optional)] optional: bool,
    #[prop(optional)] hide_label: bool,
    #[prop(optional, into)] disabled: Signal<bool>,
    #[prop(optional, into)] on_change: Option<Callback<String>>,
    #[prop(optional, into)] class: String,
) -> impl IntoView {
    let id = field_id(id, &name);
    let initial = bind.map(|bind| bind.get_untracked()).or(value).unwrap_or_default();
    let first = StoredValue::new(initial.clone());
    let node = NodeRef::<html::Select>::new();
    Effect::new(move |ran: Option<()>| {
        let (Some(bind), Some(element)) = (bind, node.get()) else { return };
        // Changing the options resets the native selection, so it is set again.
        options.track();
        let wanted = bind.get();
        let shown = element.value();
        if shown == wanted {
            return;
        }
        let chosen_before_hydration = ran.is_none() && !shown.is_empty() && shown != first.get_value();
        if chosen_before_hydration
            && options.with_untracked(|list| list.iter().any(|one| one.value == wanted))
        {
            bind.set(shown.clone());
            if let Some(on_change) = on_change {
                on_change.run(shown);
            }
        } else {
            element.set_value(&wanted);
        }
    });
    let change = move |event| {
        let value = event_target_value(&event);
        if let Some(bind) = bind {
            bind.set(value.clone());
        }
        if let Some(on_change) = on_change {
            on_change.run(value);
        }
    };
    view! {
        <Field label for_id=id.clone() hint error optional hide_label class>
            <div class="select">
                <select
                    node_ref=node
                    class="input"
                    id=id.clone()
                    name=name
                    required=required
                    disabled=move || disabled.get()
                    aria-describedby=described_by(&id, hint, error)
                    aria-invalid=invalid(error)
                    on:change=change
                >
                    {move || {
                        options
                            .get()
                            .into_iter()
                            .map(|option| {
                                let selected = option.value == initial;
                                view! {
                                    <option value=option.value selected=selected disabled=option.disabled>
                                        {option.label}
                                    </option>
                                }
                            })
                            .collect_view()
                    }}
                </select>
                <Icon glyph=Glyph::ChevronDown/>
            </div>
        </Field>
    }
}

/// Submits `value` (default `true`) under `name` if checked, nothing otherwise.
#[component]
pub fn Checkbox(
    #[prop(into)] label: Signal<String>,
    #[prop(into)] name: String,
    #[prop(optional, into)] id: Option<String>,
    #[prop(default = "true".into(), into)] value: String,
    #[prop(optional)] checked: bool,
    #[prop(optional, into)] bind: Option<RwSignal<bool>>,
    #[prop(optional, into)] hint: MaybeProp<String>,
    #[prop(optional, into)] error: MaybeProp<String>,
    #[prop(optional)] required: bool,
    #[prop(optional)] hide_label: bool,
    #[prop(optional, into)] disabled: Signal<bool>,
    #[prop(optional, into)] on_change: Option<Callback<bool>>,
) -> impl IntoView {
    let id = field_id(id, &name);
    let initial = bind.map_or(checked, |bind| bind.get_untracked());
    let node = NodeRef::<html::Input>::new();
    Effect::new(move |ran: Option<()>| {
        let (Some(bind), Some(element)) = (bind, node.get()) else { return };
        let wanted = bind.get();
        if element.checked() == wanted {
            return;
        }
        if ran.is_none() {
            bind.set(element.checked());
        } else {
            element.set_checked(wanted);
        }
    });
    let change = move |event| {
        let value = event_target_checked(&event);
        if let Some(bind) = bind {
            bind.set(value);
        }
        if let Some(on_change) = on_change {
            on_change.run(value);
        }
    };
    let (hint_id, error_id) = (format!("{id}-hint"), format!("{id}-error"));
    view! {
        <div class="field field-checkbox">
            <input
                node_ref=node
                class="checkbox"
                type="checkbox"
                id=id.clone()
                name=name
                value=value
                checked=initial
                required=required
                disabled=move || disabled.get()
                aria-describedby=described_by(&id, hint, error)
                aria-invalid=invalid(error)
                on:change=change
            />
            <label class=if hide_label { "visually-hidden" } else { "field-checkbox-label" } for=id>
                {move || label.get()}
            </label>
            {move || error.get().map(|error| view! {
                <p class="field-error" id=error_id.clone()><Icon glyph=Glyph::Warning/><span>{error}</span></p>
            })}
            {move || hint.get().map(|hint| view! { <p class="field-hint" id=hint_id.clone()>{hint}</p> })}
        </div>
    }
}
