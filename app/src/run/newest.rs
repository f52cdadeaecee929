//! Following a live run: the step run that started last stays in sight, until its reader goes elsewhere by themselves.

use super::rows::row_id;
use crate::{live::LiveRun, ui::Checkbox};
use domain::id::StepRunId;
use leptos::{ev, prelude::*};

/// The part of the window's height, at its top and at its bottom, in which a row does not count as in sight.
const MARGIN: f64 = 0.15;
/// So many frames it may take until the row is on the page: its list moves on, and so may the list around that.
const FRAMES: u32 = 8;

/// The step run that started last, an item of a forEach included, while one follows it.
pub fn newest(run: LiveRun, following: RwSignal<bool>) -> Memo<Option<StepRunId>> {
    let newest = Memo::new(move |_| following.get().then(|| run.state.read().newest).flatten());
    Effect::new(move |_| {
        if let Some(id) = newest.get() {
            bring_into_sight(id, newest, FRAMES);
        }
    });
    newest
}

/// Nothing moves while the row is in sight.
fn bring_into_sight(id: StepRunId, newest: Memo<Option<StepRunId>>, frames: u32) {
    request_animation_frame(move || {
        // Meanwhile it may be another's turn, or the reader's.
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

/// Switches it on; the wheel, a finger, the scroll bar and the keys that scroll switch it off.
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
            // The scroll bar is no element: it belongs to the page itself.
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
