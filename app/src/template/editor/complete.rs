//! Completion of expressions: offers the run's input, the outputs of the upstream steps, and the values that those
//! steps add to the context.

use super::step::StepEdit;
use domain::{
    schema::form_fields,
    template::{Template, upstream, waits},
};
use leptos::{ev, html, prelude::*};
use wasm_bindgen::JsCast;
use web_sys::{Element, Event, HtmlInputElement, HtmlTextAreaElement};

/// Maximum number of offers shown.
const MOST: usize = 12;

/// A value that an expression can read.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Offer {
    text: String,
    what: &'static str,
}

/// The last word of an expression being typed.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Word {
    /// Start of the word in the text, in bytes.
    from: usize,
    text: String,
    /// Whether the word is in braces that are not closed yet.
    open: bool,
}

/// Wraps a text field of a step, which needs no changes itself.
#[component]
pub fn Completing(
    edit: StepEdit,
    /// The text is an expression without braces.
    #[prop(optional)]
    bare: bool,
    /// The expression reads the step's own output.
    #[prop(optional)]
    output: bool,
    children: Children,
) -> impl IntoView {
    let frame = NodeRef::<html::Div>::new();
    let offers = RwSignal::new(Vec::<Offer>::new());
    let word = StoredValue::new(None::<Word>);
    let active = RwSignal::new(0_usize);
    // Only one list is open at a time.
    let list_id = StoredValue::new(edit.id("offers"));
    let close = move || {
        if !offers.read_untracked().is_empty() {
            offers.set(Vec::new());
        }
    };
    let typed = move |event: Event| {
        let Some(field) = TextBox::of(&event) else { return };
        let before = field.before();
        let found = word_of(&before, bare).map(|word| {
            let all = edit.editor.with_document(|template| what_can_be_read(template, edit.index, output));
            (matching(all.unwrap_or_default(), &word.text), word)
        });
        active.set(0);
        match found {
            Some((list, found)) if !list.iter().any(|offer| offer.text == found.text) => {
                word.set_value(Some(found));
                offers.set(list);
            }
            _ => close(),
        }
    };
    // The field's ARIA attributes name the active offer.
    Effect::new(move |_| {
        let open = !offers.read().is_empty();
        let active = active.get();
        let Some(field) =
            frame.get().and_then(|frame| frame.query_selector("input, textarea").ok().flatten())
        else {
            return;
        };
        let _ = field.set_attribute("aria-autocomplete", "list");
        if open {
            let _ = field.set_attribute("aria-controls", &list_id.read_value());
            let _ =
                field.set_attribute("aria-activedescendant", &format!("{}-{active}", list_id.read_value()));
        } else {
            let _ = field.remove_attribute("aria-controls");
            let _ = field.remove_attribute("aria-activedescendant");
        }
    });
    let take = move |index: usize| {
        let offer = offers.with_untracked(|offers| offers.get(index).cloned());
        let field =
            frame.get_untracked().and_then(|frame| frame.query_selector("input, textarea").ok().flatten());
        if let (Some(offer), Some(word), Some(field)) =
            (offer, word.get_value(), field.and_then(TextBox::from))
        {
            field.complete(&word, &offer.text);
        }
        close();
    };
    let keydown = move |event: ev::KeyboardEvent| {
        let count = offers.read_untracked().len();
        if count == 0 {
            return;
        }
        match event.key().as_str() {
            "ArrowDown" => active.update(|active| *active = (*active + 1) % count),
            "ArrowUp" => active.update(|active| *active = (*active + count - 1) % count),
            "Enter" | "Tab" => take(active.get_untracked()),
            "Escape" => close(),
            _ => return,
        }
        event.prevent_default();
        event.stop_propagation();
    };
    let item = move |(index, offer): (usize, Offer)| {
        view! {
            <li
                class="offer"
                role="option"
                id=format!("{}-{index}", list_id.read_value())
                aria-selected=move || if active.get() == index { "true" } else { "false" }
                on:pointerdown=move |event: ev::PointerEvent| {
                    // Keeps the focus in the field.
                    event.prevent_default();
                    take(index);
                }
            >
                <span class="mono">{offer.text}</span>
                <span class="offer-what">{offer.what}</span>
            </li>
        }
    };
    view! {
        <div class="completing" node_ref=frame on:input=typed on:keydown=keydown on:focusout=move |_| close()>
            {children()}
            {move || {
                let list = offers.get();
                (!list.is_empty())
                    .then(|| {
                        view! {
                            <ul class="offers" role="listbox" aria-label="What can be read here" id=list_id.get_value()>
                                {list.into_iter().enumerate().map(item).collect_view()}
                            </ul>
                        }
                    })
            }}
        </div>
    }
    .into_any()
}

/// An input or a textarea.
enum TextBox {
    Line(HtmlInputElement),
    Area(HtmlTextAreaElement),
}

impl TextBox {
    fn of(event: &Event) -> Option<Self> {
        Self::from(event.target()?.dyn_into::<Element>().ok()?)
    }

    fn from(element: Element) -> Option<Self> {
        match element.dyn_into::<HtmlTextAreaElement>() {
            Ok(area) => Some(Self::Area(area)),
            Err(element) => element.dyn_into().ok().map(Self::Line),
        }
    }

    fn value(&self) -> String {
        match self {
            Self::Line(line) => line.value(),
            Self::Area(area) => area.value(),
        }
    }

    /// The text before the cursor.
    fn before(&self) -> String {
        let caret = match self {
            Self::Line(line) => line.selection_end(),
            Self::Area(area) => area.selection_end(),
        };
        // The browser counts in UTF-16 units.
        let units: Vec<u16> = self.value().encode_utf16().collect();
        let caret = caret.ok().flatten().map_or(units.len(), |caret| (caret as usize).min(units.len()));
        String::from_utf16_lossy(&units[..caret])
    }

    /// Replaces the word by the offer, and fires the field's input event.
    fn complete(&self, word: &Word, offer: &str) {
        let (value, before) = (self.value(), self.before());
        let (Some(head), Some(mut tail)) = (before.get(..word.from), value.get(before.len()..)) else {
            return;
        };
        // Closing characters after the cursor are dropped, because the offer contains them.
        for closing in ["']", "\"]", "]"] {
            if word.text.contains('[')
                && let Some(rest) = tail.strip_prefix(closing)
            {
                tail = rest;
                break;
            }
        }
        let close = if word.open { " }}" } else { "" };
        let head = format!("{head}{offer}");
        let caret = (head.encode_utf16().count() + close.len()) as u32;
        let text = format!("{head}{close}{tail}");
        match self {
            Self::Line(line) => {
                line.set_value(&text);
                let _ = line.set_selection_range(caret, caret);
                if let Ok(event) = Event::new("input") {
                    let _ = line.dispatch_event(&event);
                }
            }
            Self::Area(area) => {
                area.set_value(&text);
                let _ = area.set_selection_range(caret, caret);
                if let Ok(event) = Event::new("input") {
                    let _ = area.dispatch_event(&event);
                }
            }
        }
    }
}

/// The word being typed at the end of `before`; `None` outside an expression.
fn word_of(before: &str, bare: bool) -> Option<Word> {
    let (start, open) = match before.rfind("{{") {
        Some(at) if !before[at..].contains("}}") => (at + 2, true),
        _ if bare && !before.contains("}}") => (0, false),
        _ => return None,
    };
    let expression = &before[start..];
    let from = match expression.rfind("context").filter(|at| is_one_path(&expression[at + "context".len()..]))
    {
        Some(at) => at,
        None => expression
            .rfind(|letter: char| !letter.is_alphanumeric() && letter != '_')
            .map_or(0, |at| at + expression[at..].chars().next().map_or(1, char::len_utf8)),
    };
    let text = expression[from..].to_owned();
    // With nothing typed, offers appear at the start of an expression, not after each of its spaces.
    if text.is_empty() && !expression.trim().is_empty() {
        return None;
    }
    (open || !text.is_empty()).then(|| Word { from: start + from, text, open })
}

/// Whether the text is an unfinished path, such as `.input.co` or `['Dra`.
fn is_one_path(text: &str) -> bool {
    match text.strip_prefix('[') {
        Some(name) => !name.contains(']'),
        None => text.chars().all(|letter| letter.is_alphanumeric() || letter == '_' || letter == '.'),
    }
}

fn what_can_be_read(template: &Template, index: usize, output: bool) -> Vec<Offer> {
    let offer = |text: String, what| Offer { text, what };
    if output {
        return vec![offer("output".to_owned(), "this step's output")];
    }
    let mut offers = Vec::new();
    let before = upstream(&waits(template), index as u32);
    // The nearest step first.
    for step in before.iter().rev().filter_map(|&step| template.steps.get(step as usize)) {
        offers.push(offer(format!("context['{}']", step.name), "output"));
        offers.extend(
            step.output_mapping
                .keys()
                .map(|key| offer(format!("context['{key}']"), "from an output mapping")),
        );
    }
    let fields = template.input.as_ref().map(form_fields).unwrap_or_default();
    offers.extend(fields.into_iter().map(|field| offer(format!("context.input.{}", field.name), "input")));
    offers.push(offer("context.conversation".to_owned(), "earlier messages"));
    if let Some(step) = template.steps.get(index) {
        if step.for_each.is_some() {
            offers.push(offer("item".to_owned(), "the item of this run"));
            offers.push(offer("index".to_owned(), "its place, from 0"));
        }
        offers.extend(step.input_mapping.keys().map(|key| offer(key.clone(), "input mapping")));
    }
    offers
}

fn matching(offers: Vec<Offer>, word: &str) -> Vec<Offer> {
    let word = word.to_lowercase();
    let name = word.strip_prefix("context").unwrap_or(&word);
    let name = name.trim_matches(|letter| matches!(letter, '.' | '[' | '\'' | '"'));
    let fits = |offer: &Offer| {
        let text = offer.text.to_lowercase();
        text.starts_with(&word)
            || (text.contains(name) && (!word.starts_with("context") || text.starts_with("context")))
    };
    offers.into_iter().filter(fits).take(MOST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(before: &str, bare: bool) -> Option<(usize, String)> {
        word_of(before, bare).map(|word| (word.from, word.text))
    }

    #[test]
    fn the_word_at_the_cursor() {
        assert_eq!(word("Say {{ ", false), Some((7, String::new())));
        assert_eq!(word("Say {{ con", false), Some((7, "con".into())));
        assert_eq!(word("{{ context['My dr", false), Some((3, "context['My dr".into())));
        assert_eq!(word("{{ a }} context", false), None);
        assert_eq!(word("{{ context.x | ", false), None);
        assert_eq!(word("context.inp", true), Some((0, "context.inp".into())));
        assert_eq!(word("", true), None);
    }

    #[test]
    fn offers_fit_the_word() {
        let offers = ["context['Draft']", "context.input.text", "item"];
        let offers: Vec<_> = offers.map(|text| Offer { text: text.into(), what: "" }).into();
        let found =
            |word: &str| matching(offers.clone(), word).into_iter().map(|one| one.text).collect::<Vec<_>>();
        assert_eq!(found("context['dr"), ["context['Draft']"]);
        assert_eq!(found("tex"), ["context['Draft']", "context.input.text"]);
        assert_eq!(found("context."), ["context['Draft']", "context.input.text"]);
        assert_eq!(found("it"), ["item"]);
        assert_eq!(found("").len(), 3);
    }
}
