//! A list in the input form: one row per item, or the whole list as JSON.
//!
//! Without script, the first row and the JSON can be posted. With script, rows can be added and removed: Enter adds
//! one, Alt with an arrow moves it, Backspace in an empty one removes it, and pasted lines become rows.

mod cell;
mod rows;

use super::read::field_key;
use crate::{
    fault::Fault,
    form::{error_at, error_in, sentence},
    ui::{
        Button, ButtonSize, ButtonVariant, Glyph, Icon, IconButton, Kbd, TextArea, Toast, Tone, use_toasts,
    },
};
use cell::Cell;
use domain::{
    json::ReadError,
    problem::Problem,
    schema::{FormField, ListField, MOST_ROWS, NotInRows, is_blank},
};
use leptos::{ev, html, prelude::*};
use rows::Rows;
use serde_json::Value;
use std::collections::BTreeMap;

/// The lists of a form by position, for filling in the form.
#[derive(Clone, Copy)]
pub struct Lists(StoredValue<BTreeMap<usize, Callback<String>>>);

impl Lists {
    pub fn new() -> Self {
        Self(StoredValue::new(BTreeMap::new()))
    }

    /// Fills the list at this position from JSON. Returns false if there is no list there.
    pub fn fill(self, place: usize, json: &str) -> bool {
        let list = self.0.with_value(|lists| lists.get(&place).copied());
        list.map(|list| list.run(json.to_owned())).is_some()
    }
}

#[component]
pub fn ListInput(
    /// The position among the fields of the form.
    place: usize,
    field: FormField,
    list: ListField,
    fault: Signal<Option<Fault>>,
    prefix: &'static str,
    lists: Option<Lists>,
    /// Called after a change for which no control fires an event.
    changed: Option<Callback<()>>,
) -> impl IntoView {
    let path = format!("input.{}", field.name);
    let id = format!("{prefix}-f{place}");
    let (first, json) = match &field.default {
        None | Some(Value::Null) => (Vec::new(), None),
        Some(value) => match list.rows(value) {
            Ok(rows) => (rows, None),
            Err(_) => (Vec::new(), Some(value.to_string())),
        },
    };
    let as_json = RwSignal::new(json.is_some());
    let json = RwSignal::new(json.unwrap_or_default());
    // Why the JSON cannot be shown as rows.
    let complaint = RwSignal::new(None::<String>);
    let said = RwSignal::new(String::new());
    let objects = list.objects;
    let title = StoredValue::new(field.title.clone());
    let rows = Rows::new(list, first, id.clone(), changed);
    rows.number();
    Effect::new(move |_| {
        fault.track();
        rows.number();
    });

    // Converts the JSON to rows.
    let to_rows = move |text: &str| -> Result<(), String> {
        let texts = match text.trim() {
            "" => Vec::new(),
            text => {
                let value = domain::json::read(text.as_bytes(), "").map_err(|error| match error {
                    ReadError::Syntax(error) => format!("this is no JSON: {error}"),
                    error => error.to_string(),
                })?;
                rows.list.with_value(|list| list.rows(&value)).map_err(|error| error.to_string())?
            }
        };
        rows.fill(texts);
        Ok(())
    };
    let area = NodeRef::<html::Details>::new();
    let opened = move |open: bool| {
        if open == as_json.get_untracked() {
            return;
        }
        complaint.set(None);
        if open {
            json.set(rows.list.with_value(|list| as_text(&list.read(&rows.texts()).0)));
            as_json.set(true);
            return;
        }
        match to_rows(&json.get_untracked()) {
            Ok(()) => {
                json.set(String::new());
                as_json.set(false);
            }
            Err(why) => {
                complaint.set(Some(sentence(&why)));
                if let Some(area) = area.get_untracked() {
                    area.set_open(true);
                }
            }
        }
    };
    if let Some(lists) = lists {
        let fill = Callback::new(move |text: String| {
            complaint.set(None);
            let shown = to_rows(&text).is_ok();
            json.set(if shown { String::new() } else { text });
            as_json.set(!shown);
        });
        lists.0.update_value(|lists| _ = lists.insert(place, fill));
    }

    let whole = error_at(fault, path.clone());
    let base = StoredValue::new(path.clone());
    let more = Memo::new(move |_| {
        let problems = fault.with(|fault| fault.as_ref().map(|fault| fault.problems().to_vec()));
        // Problems of items without a row are not shown in cells.
        let in_rows = if as_json.get() { 0 } else { rows.items.get() };
        let under = |problem: &Problem| base.with_value(|base| place_of(base, problem, objects, in_rows));
        let texts: Vec<_> = problems.unwrap_or_default().iter().filter_map(under).collect();
        (!texts.is_empty()).then(|| texts.join(" "))
    });
    let error = Signal::derive(move || {
        let texts: Vec<_> = [complaint.get(), whole.get(), more.get()].into_iter().flatten().collect();
        (!texts.is_empty()).then(|| texts.join(" "))
    });
    let (error_id, hint_id) = (format!("{id}-error"), format!("{id}-hint"));
    let described = {
        let (error_id, hint_id) = (error_id.clone(), field.description.as_ref().map(|_| hint_id.clone()));
        move || {
            let ids: Vec<_> =
                [error.get().map(|_| error_id.clone()), hint_id.clone()].into_iter().flatten().collect();
            (!ids.is_empty()).then(|| ids.join(" "))
        }
    };
    let pasted = Callback::new(move |(row, column, lines, stays)| {
        let Some(new) = rows.pasted(row, column, lines, stays) else { return false };
        let mut all = rows.texts();
        all.splice(row..=row, new.clone());
        let (items, misread) = rows.list.with_value(|list| list.read(&all));
        // A control does not display a value that is invalid for its kind: a number with a comma would disappear
        // silently.
        let why = match misread.first() {
            Some(misread) => format!("item {} {}", misread.item + 1, misread.message),
            None if all.len() > MOST_ROWS => NotInRows::TooMany.to_string(),
            None => {
                rows.replace(row, column, new);
                return true;
            }
        };
        json.set(as_text(&items));
        complaint.set(Some(sentence(&why)));
        as_json.set(true);
        rows.focus_json();
        if let Some(changed) = changed {
            changed.run(());
        }
        true
    });
    let path = StoredValue::new(path);
    let row = move |row: usize| {
        let Some(slot) = rows.slot(row) else { return ().into_any() };
        let columns = rows.list.with_value(|list| list.columns.clone()).into_iter().zip(slot.cells);
        let item = slot.item;
        let cells = columns.enumerate().map(|(column, (field, text))| {
            let (item, text) = (item.clone(), RwSignal::from(text));
            let error = Signal::derive(move || {
                let item = item.get()?;
                let path = rows.list.with_value(|list| list.path(&path.get_value(), item, column));
                fault.with(|fault| error_in(fault.as_ref(), &path))
            });
            view! { <Cell rows place row column field text error title pasted/> }
        });
        let cells = cells.collect_view();
        view! { <Row rows row said title>{cells}</Row> }.into_any()
    };
    let add = move || rows.add(rows.count.get_untracked());
    let full = Signal::derive(move || rows.count.get() >= MOST_ROWS);
    view! {
        <fieldset class="list-field" aria-describedby=described>
            <legend class="field-label">
                {field.title}
                {(!field.required).then(|| view! { <span class="field-optional">" (optional)"</span> })}
            </legend>
            {move || error.get().map(|error| view! {
                <p class="field-error" id=error_id.clone()><Icon glyph=Glyph::Warning/><span>{error}</span></p>
            })}
            {field.description.map(|hint| view! { <p class="field-hint" id=hint_id>{hint}</p> })}
            <fieldset class="list-rows" disabled=move || as_json.get() hidden=move || as_json.get()>
                <legend class="visually-hidden">{title.get_value()} ", rows"</legend>
                <ol class="list-items" role="list">
                    <For each=move || 0..rows.count.get() key=|row| *row children=row/>
                </ol>
                <div class="list-foot">
                    <Button class="list-add" size=ButtonSize::Small glyph=Glyph::Plus disabled=full on_click=add>
                        "Add a row"
                    </Button>
                    <span class="list-keys" aria-hidden="true">
                        <Kbd keys="Enter"/> " adds, " <Kbd keys="Alt ↑"/> " moves"
                    </span>
                </div>
            </fieldset>
            <details
                class="more list-json"
                node_ref=area
                open=move || as_json.get()
                on:toggle=move |event: ev::Event| opened(event_target::<web_sys::Element>(&event).has_attribute("open"))
            >
                <summary>"As JSON"</summary>
                <TextArea
                    label="A list in JSON; it goes before the rows"
                    name=format!("form[input][{}]", field_key(place))
                    id=rows.json_id()
                    bind=json
                    rows=4
                    mono=true
                    submit_on_enter=true
                />
            </details>
            <p class="visually-hidden" role="status">{move || said.get()}</p>
        </fieldset>
    }
    .into_any()
}

/// The items as JSON, one per line; empty for no items.
fn as_text(items: &[Value]) -> String {
    if items.is_empty() {
        return String::new();
    }
    let items: Vec<_> = items.iter().map(Value::to_string).collect();
    format!("[\n  {}\n]", items.join(",\n  "))
}

/// The message of a problem below the list that no cell shows.
fn place_of(base: &str, problem: &Problem, objects: bool, in_rows: usize) -> Option<String> {
    let under = problem.path.strip_prefix(base)?.strip_prefix('[')?;
    let (item, inner) = under.split_once(']')?;
    let item = item.parse::<usize>().ok()?;
    // A cell shows its own problems, but not those of the whole row.
    let in_cell = if objects { inner.starts_with('.') } else { inner.is_empty() };
    if in_cell && item < in_rows {
        return None;
    }
    let item = item + 1;
    let inner = inner.trim_start_matches('.');
    let message = &problem.message;
    let text = if inner.is_empty() {
        format!("item {item} {message}")
    } else {
        format!("item {item}, {inner}: {message}")
    };
    Some(sentence(&text))
}

/// A row and its buttons.
#[component]
fn Row(
    rows: Rows,
    row: usize,
    said: RwSignal<String>,
    title: StoredValue<String>,
    children: Children,
) -> impl IntoView {
    let toasts = use_toasts();
    let objects = rows.list.with_value(|list| list.objects);
    let number = row + 1;
    let shift = move |column: usize, down: bool| {
        if let Some(to) = rows.shift(row, column, down) {
            said.set(format!("Row {number} is row {} now.", to + 1));
        }
    };
    let remove = move || {
        let texts = rows.remove(row);
        let left = rows.count.get_untracked();
        if left == 0 {
            rows.add(0);
        } else {
            rows.focus(row.min(left - 1), 0);
        }
        said.set(format!("Row {number} was removed."));
        if !is_blank(&texts) {
            let undo = move || {
                // The form may have been left meanwhile.
                if rows.count.try_get_untracked().is_some_and(|count| count >= row) {
                    if rows.insert(row, vec![texts.clone()]) {
                        rows.focus(row, 0);
                    } else {
                        said.set(format!("There is no room for row {number} any more."));
                    }
                }
            };
            let words = format!("Row {number} of {} removed", title.get_value());
            toasts.show(Toast::new(Tone::Info, words).action("Undo", undo));
        }
    };
    // Cells do not handle these keys, except Enter in a multi-line text.
    let keydown = move |event: ev::KeyboardEvent| {
        let plain = !event.ctrl_key() && !event.meta_key() && !event.is_composing();
        let control = event_target::<web_sys::Element>(&event);
        let column = column_of(&control);
        match event.key().as_str() {
            "Enter" if plain && !event.alt_key() && !event.shift_key() && control.tag_name() == "INPUT" => {
                event.prevent_default();
                rows.add(row + 1);
            }
            key @ ("ArrowUp" | "ArrowDown") if plain && event.alt_key() && column.is_some() => {
                event.prevent_default();
                shift(column.unwrap_or_default(), key == "ArrowDown");
            }
            "Backspace" if plain && !event.repeat() && column.is_some() => {
                let blank = rows.texts().get(row).is_some_and(is_blank);
                if blank && rows.count.get_untracked() > 1 && control.tag_name() == "INPUT" {
                    event.prevent_default();
                    rows.remove(row);
                    rows.focus(row.saturating_sub(1), column.unwrap_or_default());
                }
            }
            _ => {}
        }
    };
    let last = Signal::derive(move || rows.count.get() <= row + 1);
    let label = format!("{}, row {number}", title.get_value());
    view! {
        <li class=if objects { "list-row list-row-object" } else { "list-row" }>
            <div class="list-row-body" role="group" aria-label=label on:keydown=keydown>
                <span class="list-row-number" aria-hidden="true">{number}</span>
                <div class="list-cells">{children()}</div>
                <span class="list-tools">
                    <IconButton
                        glyph=Glyph::ChevronUp
                        label=format!("Move row {number} up")
                        size=ButtonSize::Small
                        disabled={row == 0}
                        on_click=move || shift(0, false)
                    />
                    <IconButton
                        glyph=Glyph::ChevronDown
                        label=format!("Move row {number} down")
                        size=ButtonSize::Small
                        disabled=last
                        on_click=move || shift(0, true)
                    />
                    <IconButton
                        glyph=Glyph::Trash
                        label=format!("Remove row {number}")
                        size=ButtonSize::Small
                        variant=ButtonVariant::Ghost
                        on_click=remove
                    />
                </span>
            </div>
        </li>
    }
    .into_any()
}

/// The column of the cell with the focus, which is the end of its control's id. In a select, an arrow with Alt opens
/// the options.
fn column_of(control: &web_sys::Element) -> Option<usize> {
    let cell = matches!(control.tag_name().as_str(), "INPUT" | "TEXTAREA");
    control.id().rsplit('-').next().filter(|_| cell)?.parse().ok()
}
