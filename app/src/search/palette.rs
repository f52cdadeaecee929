//! The palette: finds pages and actions by a few letters of their names. Ctrl or Cmd with K opens it over every page.
//!
//! The server provides the entries and search results; the browser filters and sorts the entries by the typed text.

use super::{
    fuzzy::score,
    recent,
    server::{DO, Entry, EntryKind, find_entries, palette_entries},
};
use crate::{
    keyboard::use_keyboard,
    layout::{Preferences, ThemePreference},
    project::use_project_here,
    ui::{Glyph, Icon, Kbd},
};
use domain::key::ProjectKey;
use leptos::{ev, html, prelude::*, task::spawn_local};
use leptos_router::{NavigateOptions, hooks::use_navigate};
use std::time::Duration;

/// Maximum number of entries shown.
const SHOWN: usize = 40;
/// Delay between the last key and the request to the server.
const PAUSE: Duration = Duration::from_millis(120);

/// The button in the top bar that opens the palette; without script, a link to the search page.
#[component]
pub fn PaletteButton() -> impl IntoView {
    let keyboard = use_keyboard();
    let project = use_project_here();
    let open = move |event: ev::MouseEvent| {
        event.prevent_default();
        keyboard.show_palette();
    };
    move || {
        let href = project.get().map_or("/".to_owned(), |project| format!("/p/{project}/search"));
        view! {
            <a class="palette-button" href=href on:click=open aria-haspopup="dialog" aria-keyshortcuts="Control+K Meta+K">
                <Icon glyph=Glyph::Search/>
                <span class="palette-button-label">"Search"</span>
                <span class="palette-button-keys" aria-hidden="true"><Kbd keys="Ctrl K"/></span>
            </a>
        }
    }
}

/// Render it once, inside the router. Its content is created when it is first opened.
#[component]
pub fn Palette() -> impl IntoView {
    let open = use_keyboard().palette();
    // Once created, it is kept, so that its entries show at once when it is reopened.
    let wanted = Memo::new(move |was: Option<&bool>| open.get() || was == Some(&true));
    move || wanted.get().then(|| view! { <PaletteDialog open/> })
}

#[component]
fn PaletteDialog(open: RwSignal<bool>) -> impl IntoView {
    let dialog = NodeRef::<html::Dialog>::new();
    let field = NodeRef::<html::Input>::new();
    let list = NodeRef::<html::Ul>::new();
    let project = use_project_here();
    let typed = RwSignal::new(String::new());
    let offered = RwSignal::new(Vec::<Entry>::new());
    let found = RwSignal::new(Vec::<Entry>::new());
    let active = RwSignal::new(0_usize);

    Effect::new(move |_| {
        let wanted = open.get();
        let Some(dialog) = dialog.get() else { return };
        if wanted && !dialog.open() {
            // Fails only for a dialog outside the document; a mounted one is inside.
            _ = dialog.show_modal();
            begin(project.get_untracked(), offered);
            if let Some(field) = field.get_untracked() {
                field.set_value("");
            }
            typed.set(String::new());
            active.set(0);
        } else if !wanted && dialog.open() {
            dialog.close();
        }
    });
    search_as_typed(project, typed, found);
    let shown = Memo::new(move |_| {
        let typed = typed.read();
        let typed = typed.trim();
        let here = project.get();
        if typed.is_empty() {
            let recent = recent::read(here.as_ref());
            let rest =
                offered.get().into_iter().filter(|entry| !recent.iter().any(|one| one.href == entry.href));
            return recent.clone().into_iter().chain(rest).take(SHOWN).collect();
        }
        let mut lines = best(typed, &offered.read());
        let known: Vec<_> = lines.iter().map(|line| line.href.clone()).collect();
        lines.extend(found.get().into_iter().filter(|entry| !known.contains(&entry.href)));
        lines.truncate(SHOWN);
        lines.extend(here.map(|project| everywhere(&project, typed)));
        lines
    });
    let (keyboard, preferences, navigate) = (use_keyboard(), expect_context::<Preferences>(), use_navigate());
    let choose = StoredValue::new(move |entry: Entry| {
        open.set(false);
        recent::remember(project.get_untracked().as_ref(), &entry);
        match entry.href.strip_prefix(DO) {
            None => navigate(&entry.href, NavigateOptions::default()),
            Some("help") => keyboard.show_help(),
            Some("sidebar") => preferences.toggle_sidebar(),
            Some(theme) => {
                let of_name = |one: &ThemePreference| theme.strip_prefix("theme-") == Some(one.as_str());
                if let Some(theme) = ThemePreference::ALL.into_iter().find(of_name) {
                    preferences.set_theme(theme);
                }
            }
        }
    });
    let choose = move |index: usize| {
        if let Some(entry) = shown.with_untracked(|shown: &Vec<Entry>| shown.get(index).cloned()) {
            choose.with_value(|choose| choose(entry));
        }
    };
    let pressed = move |event: ev::KeyboardEvent| {
        let last = shown.with_untracked(|shown| shown.len().saturating_sub(1));
        let now = active.get_untracked();
        let to = match event.key().as_str() {
            "ArrowDown" => {
                if now == last {
                    0
                } else {
                    now + 1
                }
            }
            "ArrowUp" => now.checked_sub(1).unwrap_or(last),
            "Enter" if !event.is_composing() => {
                event.prevent_default();
                return choose(now);
            }
            _ => return,
        };
        event.prevent_default();
        active.set(to);
        reveal(list, to);
    };
    let on_backdrop = move |event: ev::MouseEvent| {
        let dialog = dialog.get_untracked().map(|dialog| web_sys::EventTarget::from((*dialog).clone()));
        if event.target() == dialog {
            open.set(false);
        }
    };
    // The `close` event arrives later: by then the dialog may have been reopened.
    let closed = move |_| open.set(dialog.get_untracked().is_some_and(|dialog| dialog.open()));
    let line = move |(index, entry): (usize, Entry)| {
        view! {
            <li
                class="palette-line"
                role="option"
                id=format!("palette-{index}")
                aria-selected=move || if active.get() == index { "true" } else { "false" }
                on:click=move |_| choose(index)
                on:mousemove=move |event| {
                    // Scrolling the list under a resting pointer does not choose an entry.
                    let moved = event.movement_x() != 0 || event.movement_y() != 0;
                    if moved && active.get_untracked() != index {
                        active.set(index);
                    }
                }
            >
                <Icon glyph=entry.kind.glyph()/>
                <span class="palette-label">{entry.label}</span>
                <span class="palette-detail">{entry.detail}</span>
                <span class="palette-kind">{entry.kind.label()}</span>
            </li>
        }
        .into_any()
    };
    view! {
        <dialog node_ref=dialog class="dialog palette" aria-label="Search and commands" on:close=closed on:click=on_backdrop>
            <div class="palette-frame">
                <div class="palette-field">
                    <Icon glyph=Glyph::Search/>
                    <input
                        node_ref=field
                        type="text"
                        role="combobox"
                        aria-label="Search and commands"
                        aria-expanded="true"
                        aria-autocomplete="list"
                        aria-controls="palette-lines"
                        aria-activedescendant=move || format!("palette-{}", active.get())
                        placeholder="Go anywhere, do anything, find anything"
                        autocomplete="off"
                        spellcheck="false"
                        maxlength="200"
                        on:input=move |event| {
                            active.set(0);
                            typed.set(event_target_value(&event));
                        }
                        on:keydown=pressed
                    />
                    <Kbd keys="Esc"/>
                </div>
                <ul node_ref=list class="palette-lines" role="listbox" id="palette-lines" aria-label="What fits">
                    {move || shown.get().into_iter().enumerate().map(line).collect_view()}
                </ul>
                {move || {
                    shown.read().is_empty().then(|| view! { <p class="palette-none" role="status">"Nothing fits."</p> })
                }}
            </div>
        </dialog>
    }
    .into_any()
}

/// Loads the entries each time the palette opens; the previous ones show meanwhile.
fn begin(project: Option<ProjectKey>, offered: RwSignal<Vec<Entry>>) {
    spawn_local(async move {
        if let Ok(entries) = palette_entries(project).await {
            _ = offered.try_set(entries);
        }
    });
}

/// Searches once typing pauses. Responses to earlier requests are ignored.
fn search_as_typed(project: Memo<Option<ProjectKey>>, typed: RwSignal<String>, found: RwSignal<Vec<Entry>>) {
    let asked = StoredValue::new(0_u32);
    Effect::new(move |_| {
        let text = typed.get();
        asked.update_value(|asked| *asked += 1);
        let mine = asked.get_value();
        let Some(project) = project.get_untracked().filter(|_| !text.trim().is_empty()) else {
            return found.set(Vec::new());
        };
        set_timeout(
            move || {
                if asked.try_get_value() != Some(mine) {
                    return;
                }
                spawn_local(async move {
                    let answer = find_entries(project, text).await;
                    if let (Ok(entries), true) = (answer, asked.try_get_value() == Some(mine)) {
                        found.set(entries);
                    }
                });
            },
            PAUSE,
        );
    });
}

/// The matching entries, best first.
fn best(typed: &str, offered: &[Entry]) -> Vec<Entry> {
    let fits = |entry: &Entry| {
        let name = score(typed, &entry.label);
        name.or_else(|| score(typed, &entry.detail).map(|score| score / 2))
    };
    let mut fitting: Vec<_> = offered.iter().filter_map(|entry| Some((fits(entry)?, entry))).collect();
    fitting.sort_by_key(|(score, _)| std::cmp::Reverse(*score));
    fitting.into_iter().map(|(_, entry)| entry.clone()).collect()
}

/// The last entry: the search page.
fn everywhere(project: &ProjectKey, typed: &str) -> Entry {
    let query = leptos_router::location::Url::escape(typed);
    Entry {
        kind: EntryKind::Page,
        label: format!("Search for “{typed}”"),
        detail: String::new(),
        href: format!("/p/{project}/search?q={query}"),
    }
}

/// Scrolls the list by the least amount that makes the entry visible.
fn reveal(list: NodeRef<html::Ul>, index: usize) {
    use wasm_bindgen::JsCast;
    let Some(list) = list.get_untracked() else { return };
    let line =
        list.children().item(index as u32).and_then(|line| line.dyn_into::<web_sys::HtmlElement>().ok());
    let Some(line) = line else { return };
    let (top, bottom) = (line.offset_top(), line.offset_top() + line.offset_height());
    if top < list.scroll_top() {
        list.set_scroll_top(top);
    } else if bottom > list.scroll_top() + list.client_height() {
        list.set_scroll_top(bottom - list.client_height());
    }
}
