//! The text side of the editor: a textarea with line numbers, which mark the lines with problems and hints.

use super::{
    designer::step_at,
    state::{Editor, Side},
};
use domain::problem::Problem;
use leptos::{html, prelude::*};
use std::collections::BTreeSet;

/// The style sheet's line height, for scrolling a line into view.
const LINE: i32 = 20;

#[component]
pub fn YamlPane(editor: Editor, area: NodeRef<html::Textarea>) -> impl IntoView {
    let gutter = NodeRef::<html::Div>::new();
    let source = editor.source;
    let lines = Memo::new(move |_| source.read().split('\n').count());
    let lines_of = |found: RwSignal<Vec<Problem>>| {
        Memo::new(move |_| found.read().iter().filter_map(|problem| problem.line).collect::<BTreeSet<_>>())
    };
    let (marked, hinted) = (lines_of(editor.problems), lines_of(editor.hints));
    let scroll = move |_| {
        if let (Some(area), Some(gutter)) = (area.get_untracked(), gutter.get_untracked()) {
            gutter.set_scroll_top(area.scroll_top());
        }
    };
    // The step at the cursor becomes the chosen one, and the chosen step is scrolled into view.
    let follow = move || {
        let Some(area) = area.get_untracked() else { return };
        let caret = area.selection_start().ok().flatten().unwrap_or_default() as usize;
        let line =
            area.value().encode_utf16().take(caret).filter(|unit| *unit == u16::from(b'\n')).count() + 1;
        let step = step_at(editor, line as u32);
        if step != editor.chosen.get_untracked() {
            editor.chosen.set(step);
        }
    };
    Effect::new(move |_| {
        let (chosen, side) = (editor.chosen.get(), editor.side.get());
        let line = chosen.and_then(|step| editor.lines.with_untracked(|lines| lines.get(step).copied()));
        let (Some(line), Some(area), Side::Yaml) = (line, area.get_untracked(), side) else { return };
        let typing = document().active_element().is_some_and(|active| active.id() == area.id());
        if !typing {
            area.set_scroll_top((line as i32 - 4).max(0) * LINE);
        }
    });
    let own = Memo::new(move |_| {
        let step = editor.chosen.get()?;
        let lines = editor.lines.read();
        Some((*lines.get(step)?, lines.get(step + 1).map_or(u32::MAX, |next| next - 1)))
    });
    let first = source.get_untracked();
    view! {
        <div class="yaml">
            <div class="yaml-gutter" node_ref=gutter aria-hidden="true">
                <For each=move || 1..=lines.get() key=|line| *line let(line)>
                    <span
                        class="yaml-line"
                        class:yaml-own=move || own.get().is_some_and(|(from, to)| (from..=to).contains(&(line as u32)))
                        class:yaml-hinted=move || hinted.read().contains(&(line as u32))
                        class:yaml-marked=move || marked.read().contains(&(line as u32))
                    >
                        {line}
                    </span>
                </For>
            </div>
            <textarea
                class="yaml-text mono"
                node_ref=area
                name="source"
                id="template-source"
                aria-label="Template as YAML"
                aria-describedby="template-problems"
                aria-invalid=move || (!editor.problems.read().is_empty()).then_some("true")
                spellcheck="false"
                autocapitalize="off"
                autocomplete="off"
                wrap="off"
                prop:value=move || source.get()
                on:input=move |event| editor.write(event_target_value(&event))
                on:scroll=scroll
                on:keyup=move |_| follow()
                on:click=move |_| follow()
            >
                {first}
            </textarea>
        </div>
    }
}

/// Moves the cursor to a line and scrolls it into view.
pub fn go_to_line(area: NodeRef<html::Textarea>, line: u32) {
    let Some(area) = area.get_untracked() else { return };
    let text = area.value();
    let before = text.split('\n').take(line.saturating_sub(1) as usize);
    // The browser counts in UTF-16 units.
    let start: usize = before.map(|line| line.encode_utf16().count() + 1).sum();
    let own = text.split('\n').nth(line.saturating_sub(1) as usize).unwrap_or_default();
    let end = start + own.encode_utf16().count();
    let _ = area.focus();
    let _ = area.set_selection_range(start as u32, end as u32);
    area.set_scroll_top((line as i32 - 4).max(0) * LINE);
}
