//! The text side of the editor: a textarea with the numbers of its lines beside it, marked where a problem is.

use super::state::Editor;
use leptos::{html, prelude::*};
use std::collections::BTreeSet;

/// The line height of the style sheet, to bring a line into view.
const LINE: i32 = 20;

#[component]
pub fn YamlPane(editor: Editor, area: NodeRef<html::Textarea>) -> impl IntoView {
    let gutter = NodeRef::<html::Div>::new();
    let source = editor.source;
    let lines = Memo::new(move |_| source.read().split('\n').count());
    let marked = Memo::new(move |_| {
        editor.problems.read().iter().filter_map(|problem| problem.line).collect::<BTreeSet<_>>()
    });
    let scroll = move |_| {
        if let (Some(area), Some(gutter)) = (area.get_untracked(), gutter.get_untracked()) {
            gutter.set_scroll_top(area.scroll_top());
        }
    };
    let first = source.get_untracked();
    view! {
        <div class="yaml">
            <div class="yaml-gutter" node_ref=gutter aria-hidden="true">
                <For each=move || 1..=lines.get() key=|line| *line let(line)>
                    <span class="yaml-line" class:yaml-marked=move || marked.read().contains(&(line as u32))>
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
            >
                {first}
            </textarea>
        </div>
    }
}

/// Puts the cursor on a line and the line in view.
pub fn go_to_line(area: NodeRef<html::Textarea>, line: u32) {
    let Some(area) = area.get_untracked() else { return };
    let text = area.value();
    let before = text.split('\n').take(line.saturating_sub(1) as usize);
    // The browser counts UTF-16 units.
    let start: usize = before.map(|line| line.encode_utf16().count() + 1).sum();
    let own = text.split('\n').nth(line.saturating_sub(1) as usize).unwrap_or_default();
    let end = start + own.encode_utf16().count();
    let _ = area.focus();
    let _ = area.set_selection_range(start as u32, end as u32);
    area.set_scroll_top((line as i32 - 4).max(0) * LINE);
}
