//! The canvas side of the editor, and its toolbar.

use super::{
    focus_canvas, focus_name, hear_loose_keys,
    state::{Editor, Side},
    tools::Tools,
};
use crate::{
    canvas::{Canvas, Editing, Flaw, Scene},
    ui::{ButtonSize, Glyph, IconButton, Kbd},
};
use domain::problem::Problem;
use leptos::{ev, prelude::*};

/// Prefix of the ids of the canvas's steps; it also identifies the canvas.
const STEPS: &str = "designer-step";

#[component]
pub fn CanvasPane(tools: Tools) -> impl IntoView {
    let editor = tools.editor;
    let flaws = Memo::new(move |_| {
        let steps = |flaw: Flaw, found: &[Problem]| {
            found.iter().filter_map(|found| Some((step_of(&found.path)?, flaw))).collect::<Vec<_>>()
        };
        let mut flaws = steps(Flaw::Problem, &editor.problems.read());
        flaws.extend(steps(Flaw::Hint, &editor.hints.read()));
        flaws.dedup();
        flaws
    });
    let scene = Memo::new(move |_| {
        editor.drawn.track();
        let flaws = flaws.read();
        editor.with_document(|template| Scene::of_template(template, &flaws)).unwrap_or_default()
    });
    let editing = Editing {
        on_connect: Callback::new(move |joint| tools.connect(joint)),
        on_insert: Callback::new(move |joint| tools.add_between(joint)),
        on_key: Callback::new(move |event: ev::KeyboardEvent| tools.hear(&event)),
        on_tap: Callback::new(|()| show_inspector()),
        marked: editor.marked,
    };
    hear_loose_keys(move |event| {
        let there = editor.awake.get_untracked() && editor.side.get_untracked() == Side::Canvas;
        if there && tools.hear(&event) {
            event.prevent_default();
            // The canvas receives the next keys, unless a name is to be typed.
            focus_canvas();
        }
    });
    let keys = [
        ("N", "new step"),
        ("Shift N", "beside"),
        ("C", "connect"),
        ("D", "duplicate"),
        ("Delete", "remove"),
        ("X", "mark"),
        ("G", "run marked at once"),
        ("Alt ↑", "move"),
        ("Ctrl Z", "undo"),
    ];
    view! {
        <div class="designer-canvas" inert=move || !editor.readable.get() || !editor.awake.get()>
            <Canvas
                id=STEPS
                label="Steps"
                scene
                chosen=editor.chosen
                on_choose=Callback::new(move |index| editor.chosen.set(index))
                on_open=Callback::new(focus_name)
                editing
                tall=true
            />
            <p class="legend designer-keys">
                {keys
                    .map(|(keys, does)| {
                        view! {
                            <span class="designer-key">
                                <Kbd keys=keys.to_owned()/>
                                {does}
                            </span>
                        }
                    })
                    .collect_view()}
            </p>
        </div>
    }
}

/// Scrolls the inspector into view for the chosen step, if the inspector is below the canvas.
fn show_inspector() {
    /// Height of the inspector that must be visible for it to be recognisable, in pixels.
    const HINT: f64 = 160.0;
    // The step's fields are rendered first.
    request_animation_frame(move || {
        let found = |selector: &str| document().query_selector(selector).ok().flatten();
        let (Some(pane), Some(inspector)) = (found(".designer-canvas"), found(".designer .inspector")) else {
            return;
        };
        let height = window().inner_height().ok().and_then(|height| height.as_f64()).unwrap_or(0.0);
        let top = inspector.get_bounding_client_rect().top();
        if top >= pane.get_bounding_client_rect().bottom() && top + HINT > height {
            inspector.scroll_into_view();
        }
    });
}

#[component]
pub fn ToolBar(tools: Tools) -> impl IntoView {
    let editor = tools.editor;
    let none = Signal::derive(move || editor.chosen.get().is_none());
    let few = Signal::derive(move || tools.members().len() < 2);
    let nobody = Signal::derive(move || tools.members().is_empty());
    // The label for one step, or for all marked ones.
    let those = move |one: &'static str, many: &'static str, keys: &'static str| {
        Signal::derive(move || {
            let words = if tools.members().len() > 1 { many } else { one };
            format!("{words} ({keys})")
        })
    };
    let nothing_before = Signal::derive(move || !editor.can.get().0 && !editor.settling.get());
    let nothing_after = Signal::derive(move || !editor.can.get().1);
    view! {
        <div class="designer-tools" role="toolbar" aria-label="Steps" inert=move || !editor.awake.get()>
            <IconButton glyph=Glyph::Undo label="Undo (Ctrl+Z)" size=ButtonSize::Small disabled=nothing_before on_click=move || editor.undo()/>
            <IconButton glyph=Glyph::Redo label="Redo (Ctrl+Shift+Z)" size=ButtonSize::Small disabled=nothing_after on_click=move || editor.redo()/>
            <span class="designer-gap"></span>
            <IconButton glyph=Glyph::Plus label="Add a step (N)" size=ButtonSize::Small on_click=move || tools.add()/>
            <IconButton glyph=Glyph::Copy label=those("Duplicate the step", "Duplicate the marked steps", "D") size=ButtonSize::Small disabled=nobody on_click=move || tools.duplicate()/>
            <IconButton glyph=Glyph::ChevronUp label="Move the step up (Alt+Up)" size=ButtonSize::Small disabled=none on_click=move || tools.shift(false)/>
            <IconButton glyph=Glyph::ChevronDown label="Move the step down (Alt+Down)" size=ButtonSize::Small disabled=none on_click=move || tools.shift(true)/>
            <IconButton glyph=Glyph::Group label="Run the marked steps at once (G)" size=ButtonSize::Small disabled=few on_click=move || tools.group()/>
            <IconButton glyph=Glyph::Trash label=those("Remove the step", "Remove the marked steps", "Delete") size=ButtonSize::Small disabled=nobody on_click=move || tools.remove()/>
        </div>
    }
}

/// The index of the step in a problem's path: 3 for `steps[3].prompt`.
pub fn step_of(path: &str) -> Option<usize> {
    path.strip_prefix("steps[")?.split_once(']')?.0.parse().ok()
}

/// The step that contains a line of the text.
pub fn step_at(editor: Editor, line: u32) -> Option<usize> {
    editor.lines.with_untracked(|lines| lines.iter().rposition(|first| *first <= line))
}

#[cfg(test)]
mod tests {
    use super::step_of;

    #[test]
    fn problems_know_their_step() {
        assert_eq!(step_of("steps[12].inputMapping.code"), Some(12));
        assert_eq!(step_of("input.properties"), None);
        assert_eq!(step_of("steps"), None);
    }
}
