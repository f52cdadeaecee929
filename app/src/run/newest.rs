//! Following a live run: keeps the most recently started step run in view until the reader navigates elsewhere.

use super::rows::row_id;
use crate::{live::LiveRun, ui::Checkbox};
use domain::id::StepRunId;
use leptos::{ev, prelude::*};

/// The part of the window's height, at its top and at its bottom, in which a row does not count as visible.
const MARGIN: f64 = 0.15;
/// Maximum number of frames until the row is rendered: its list, and the list around that, may have to move first.
const FRAMES: u32 = 8;

/// The most recently started step run, including items of a forEach, while following is on.
pub fn newest(run: LiveRun, following: RwSignal<bool>) -> Memo<Option<StepRunId>> {
    let newest = Memo::new(move |_| following.get().then(|| run.state.read().newest).flatten());
    Effect::new(move |_| {
        if let Some(id) = newest.get() {
            bring_into_sight(id, newest, FRAMES);
        }
    });
    newest
}

/// Scrolls only if the row is not visible.
fn bring_into_sight(id: StepRunId, newest: Memo<Option<StepRunId>>, frames: u32) {
    request_animation_frame(move || {
        // Another step run may have started, or the reader may have scrolled, meanwhile.
        if newest.try_get_untracked().flatten() != Some(id) {
            return;
        }
        let Some(row) = document().get_element_by_id(&row_id(id)) else {
            if frames > 0 {
                bring_into_sight(id, newest, frames - 1);
            }
            return;
        };
        let bounds = row.get_bounding_client_rect();
        let high = window().inner_height().ok().and_then(|high| high.as_f64()).unwrap_or_default();
        if bounds.top() < high * MARGIN || bounds.bottom() > high * (1.0 - MARGIN) {
            window().scroll_by_with_x_and_y(0.0, bounds.top() - high / 2.0);
        }
    });
}

/// The checkbox that turns following on. The wheel, touch, the scroll bar and scrolling keys turn it off.
#[component]
pub fn FollowNewest(run: LiveRun, following: RwSignal<bool>) -> impl IntoView {
    let live = run.is_live();
    let here = !run.past;
    Effect::new(move |_| {
        if !following.get() {
            return;
        }
        let wheel = window_event_listener(ev::wheel, move |_| following.set(false));
        let touch = window_event_listener(ev::touchmove, move |_| following.set(false));
        let bar = window_event_listener(ev::mousedown, move |event| {
            // The scroll bar is not an element: its events target the root element.
            let root = document().document_element();
            if event.target().zip(root).is_some_and(|(target, root)| target == **root) {
                following.set(false);
            }
        });
        let key = window_event_listener(ev::keydown, move |event| {
            let goes = ["ArrowUp", "ArrowDown", "PageUp", "PageDown", "Home", "End"];
            if goes.contains(&event.key().as_str()) {
                following.set(false);
            }
        });
        on_cleanup(move || {
            wheel.remove();
            touch.remove();
            bar.remove();
            key.remove();
        });
    });
    view! {
        <Show when=move || here && live.get()>
            <Checkbox label="Follow newest" name="follow" bind=following/>
        </Show>
    }
}
