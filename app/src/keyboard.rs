//! The keyboard shortcuts of the app: one listener, one list of shortcuts, one help page.
//!
//! A page adds a shortcut with `use_shortcut("n", "New template", move
//! …)`; it is removed with the page. Keys are single characters as `KeyboardEvent::key` names them, or `g` and a
//! letter (`g t`). Shortcuts are inactive while a user types, or a dialog or menu is open.

use leptos::{ev, prelude::*};
use wasm_bindgen::JsCast;
use web_sys::{Element, HtmlElement, HtmlFormElement, KeyboardEvent};

use crate::ui::{
    Dialog, DialogSize, Kbd,
    focus::{Move, active_element, move_focus},
};

/// Milliseconds within which the letter after `g` must follow.
const CHORD: f64 = 1_500.0;

#[derive(Clone)]
struct Shortcut {
    id: u64,
    keys: String,
    label: String,
    run: Callback<()>,
}

/// The active shortcuts, newest last. The newest takes precedence.
#[derive(Clone, Copy)]
pub struct Keyboard {
    shortcuts: RwSignal<Vec<Shortcut>>,
    next: StoredValue<u64>,
    help: RwSignal<bool>,
    palette: RwSignal<bool>,
}

impl Keyboard {
    /// Call once, in `App`.
    pub fn provide() {
        let keyboard = Self {
            shortcuts: RwSignal::new(Vec::new()),
            next: StoredValue::new(0),
            help: RwSignal::new(false),
            palette: RwSignal::new(false),
        };
        provide_context(keyboard);
        Effect::new(move |_| {
            let chord_since = StoredValue::new(None::<f64>);
            let listening =
                window_event_listener(ev::keydown, move |event| keyboard.hear(&event, chord_since));
            on_cleanup(move || listening.remove());
        });
    }

    pub fn show_help(self) {
        self.help.set(true);
    }

    pub fn show_palette(self) {
        self.palette.set(true);
    }

    /// Whether the palette is open; the component that renders it updates this.
    pub fn palette(self) -> RwSignal<bool> {
        self.palette
    }

    fn hear(self, event: &KeyboardEvent, chord_since: StoredValue<Option<f64>>) {
        if opens_palette(event) {
            event.prevent_default();
            let open = self.palette.get_untracked();
            if open || !something_floats() {
                self.palette.set(!open);
            }
            return;
        }
        let elsewhere = event.default_prevented() || event.ctrl_key() || event.meta_key() || event.alt_key();
        if elsewhere || is_typing(event) || something_floats() {
            return;
        }
        let now = event.time_stamp();
        let in_chord = chord_since.get_value().is_some_and(|since| now - since < CHORD);
        chord_since.set_value(None);
        let key = event.key();
        if key == "g" && !in_chord {
            chord_since.set_value(Some(now));
            return;
        }
        if key == "?" {
            event.prevent_default();
            self.show_help();
            return;
        }
        let wanted = if in_chord { format!("g {key}") } else { key };
        let found = self
            .shortcuts
            .with_untracked(|list| list.iter().rev().find(|one| one.keys == wanted).map(|one| one.run));
        if let Some(run) = found {
            event.prevent_default();
            run.run(());
        } else if on_rows(&wanted) {
            event.prevent_default();
        }
    }
}

pub fn use_keyboard() -> Keyboard {
    expect_context()
}

/// Registers a shortcut while the calling component is on the page.
pub fn use_shortcut(
    keys: impl Into<String>,
    label: impl Into<String>,
    run: impl Fn() + Send + Sync + 'static,
) {
    let keyboard = use_keyboard();
    let (keys, label, run) = (keys.into(), label.into(), Callback::new(move |()| run()));
    // Registered in the browser only: the list is rendered when the help opens, so the server does not need it.
    let id = keyboard.next.get_value();
    keyboard.next.set_value(id + 1);
    Effect::new(move |_| {
        let shortcut = Shortcut { id, keys: keys.clone(), label: label.clone(), run };
        keyboard.shortcuts.update(|list| list.push(shortcut));
    });
    on_cleanup(move || {
        keyboard.shortcuts.try_update(|list| list.retain(|one| one.id != id));
    });
}

/// The elements that open a list's entries: every list marks them, and J and K move among them.
const ROWS: &str = ".main a.row-link, .main [data-row]";

/// Applies a key to the rows of the page's list, wherever the focus is. Returns whether it did anything.
fn on_rows(key: &str) -> bool {
    let Some(page) = document().body() else { return false };
    let row = active_element().filter(|active| active.matches(ROWS).unwrap_or(false));
    match key {
        "j" => move_focus(&page, ROWS, Move::Next),
        "k" => move_focus(&page, ROWS, Move::Previous),
        // Without a focused row, the arrows scroll the page.
        "ArrowDown" | "ArrowUp" if row.is_some() => {
            move_focus(&page, ROWS, if key == "ArrowDown" { Move::Next } else { Move::Previous })
        }
        "e" => press(row, "a[href$='/execute']"),
        "." => press(row, "button[aria-haspopup=menu]"),
        _ => false,
    }
}

/// Clicks an element in the focused row, or in the page's head if no row has the focus.
fn press(row: Option<HtmlElement>, wanted: &str) -> bool {
    let within = match row {
        Some(row) => row.closest("tr, li").ok().flatten(),
        None => document().query_selector(".page-actions").ok().flatten(),
    };
    let found = within.and_then(|within| within.query_selector(wanted).ok().flatten());
    let found = found.and_then(|found| found.dyn_into::<HtmlElement>().ok());
    if let Some(found) = &found {
        found.click();
    }
    found.is_some()
}

/// Whether the key event belongs to an input field.
pub fn is_typing(event: &KeyboardEvent) -> bool {
    event.target().and_then(|target| target.dyn_into::<Element>().ok()).is_some_and(|element| {
        element
            .closest("input:not([type=checkbox]), textarea, select, [contenteditable=true]")
            .is_ok_and(|found| found.is_some())
    })
}

/// Whether the keys are Ctrl or Cmd with Enter, which submits a form.
pub fn sends(event: &KeyboardEvent) -> bool {
    event.key() == "Enter" && (event.ctrl_key() || event.meta_key())
}

/// Submits the form of the focused field if the keys are Ctrl or Cmd with Enter. Call it from a listener of the field
/// or of the form. Events that were already handled are ignored.
pub fn send_form(event: &KeyboardEvent) {
    if event.default_prevented() || !sends(event) {
        return;
    }
    let within = event.target().and_then(|target| target.dyn_into::<Element>().ok());
    let form = within.and_then(|within| within.closest("form").ok().flatten());
    if let Some(form) = form.and_then(|form| form.dyn_into::<HtmlFormElement>().ok()) {
        event.prevent_default();
        // An invalid form shows its validation message and submits nothing.
        _ = form.request_submit();
    }
}

/// Whether the keys are Ctrl or Cmd with K, which also work while typing.
fn opens_palette(event: &KeyboardEvent) -> bool {
    let held = (event.ctrl_key() || event.meta_key()) && !event.alt_key() && !event.shift_key();
    held && event.key().eq_ignore_ascii_case("k")
}

/// Whether a dialog or a menu is open.
pub fn something_floats() -> bool {
    document().query_selector("dialog[open], :popover-open").is_ok_and(|found| found.is_some())
}

/// The help page that `?` opens. Render it once, in `App`.
#[component]
pub fn ShortcutHelp() -> impl IntoView {
    let keyboard = use_keyboard();
    let fixed = [
        ("Ctrl K", "Search and commands (Cmd K on a Mac)"),
        ("?", "Show this help"),
        ("J", "Next row (or arrow down)"),
        ("K", "Previous row (or arrow up)"),
        ("Enter", "Open the row"),
        ("E", "Execute the template, or that of the row"),
        (".", "Actions of the row, or of the page"),
        ("N", "Designer: add a step (with Shift beside the chosen one)"),
        ("C", "Designer: connect the chosen step"),
        ("G", "Designer: group the marked steps (X marks one)"),
        ("D", "Designer: duplicate (Delete removes)"),
        ("Esc", "Close a panel, dialog or menu"),
        ("Ctrl Enter", "Send (Cmd Enter on a Mac)"),
    ];
    let row = |keys: String, label: String| {
        view! {
            <div class="shortcut">
                <dt>{label}</dt>
                <dd><Kbd keys/></dd>
            </div>
        }
    };
    view! {
        <Dialog open=keyboard.help title="Keyboard shortcuts" size=DialogSize::Small>
            <dl class="shortcuts">
                {move || {
                    keyboard
                        .shortcuts
                        .get()
                        .into_iter()
                        .map(|one| row(one.keys.to_uppercase(), one.label))
                        .collect_view()
                }}
                {fixed.map(|(keys, label)| row(keys.into(), label.into())).collect_view()}
            </dl>
        </Dialog>
    }
}
