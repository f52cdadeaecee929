//! Keyed rows of step runs. Rows that remain keep their state: opened parts, typed text and scroll position.
//!
//! Of a long list, only the rows around the visible part are rendered; empty space above and below replaces the
//! others.

use domain::id::StepRunId;
use leptos::{ev, html, prelude::*};
use std::sync::Arc;

type Row = Arc<dyn Fn(StepRunId) -> AnyView + Send + Sync>;

/// Length from which a list is rendered in part.
const LONG: usize = 200;
/// Number of rendered rows of a long list, and the number of rows by which they advance.
const SHOWN: usize = 120;
const SLIDE: usize = 6;
/// Height of a row in pixels, until some rows have been measured.
const HEIGHT: f64 = 32.0;

/// One list component for all step runs: the code of a keyed list is large, and each use would add a copy of it.
#[component]
pub fn Rows(
    #[prop(into)] ids: Signal<Vec<StepRunId>>,
    row: Row,
    /// A row that must be rendered even if it is not visible.
    #[prop(optional, into)]
    wanted: MaybeProp<StepRunId>,
) -> impl IntoView {
    let start = RwSignal::new(0_usize);
    let count = Memo::new(move |_| ids.read().len());
    let long = Memo::new(move |_| count.get() > LONG);
    let shown = Memo::new(move |_| {
        let ids = ids.read();
        if ids.len() <= LONG {
            return ids.clone();
        }
        let start = start.get().min(ids.len() - SHOWN);
        ids[start..start + SHOWN].to_vec()
    });
    let (above, below) = (NodeRef::<html::Li>::new(), NodeRef::<html::Li>::new());
    let height = StoredValue::new(HEIGHT);
    let look = move || {
        let (Some(above), Some(below)) = (above.get_untracked(), below.get_untracked()) else { return };
        let (above, below) = (above.get_bounding_client_rect(), below.get_bounding_client_rect());
        let measured = (below.top() - above.bottom()) / SHOWN as f64;
        if measured > 1.0 {
            height.set_value(measured);
        }
        let first = (-above.top() / height.get_value()).max(0.0) as usize;
        let wanted = first.saturating_sub(SHOWN / 3) / SLIDE * SLIDE;
        let wanted = wanted.min(count.get_untracked().saturating_sub(SHOWN));
        if wanted != start.get_untracked() {
            start.set(wanted);
        }
    };
    // The empty space, which keeps the page at the height of all rows.
    Effect::new(move |_| {
        let (Some(above), Some(below)) = (above.get(), below.get()) else { return };
        let (start, count) = (start.get().min(count.get().saturating_sub(SHOWN)), count.get());
        let room = |rows: usize| format!("{:.0}px", rows as f64 * height.get_value());
        // The content policy allows heights that the script sets.
        _ = web_sys::HtmlElement::style(&above).set_property("height", &room(start));
        _ = web_sys::HtmlElement::style(&below)
            .set_property("height", &room(count.saturating_sub(start + SHOWN)));
    });
    Effect::new(move |_| {
        if !long.get() {
            return;
        }
        let listening = window_event_listener(ev::scroll, move |_| look());
        let resized = window_event_listener(ev::resize, move |_| look());
        request_animation_frame(look);
        on_cleanup(move || {
            listening.remove();
            resized.remove();
        });
    });
    Effect::new(move |_| {
        let Some(wanted) = wanted.get() else { return };
        let place = ids.with_untracked(|ids| ids.iter().position(|id| *id == wanted));
        let here = shown.with_untracked(|shown| shown.contains(&wanted));
        if let Some(place) = place.filter(|_| !here) {
            start.set(place.saturating_sub(SHOWN / 2) / SLIDE * SLIDE);
        }
    });
    let space = move |node: NodeRef<html::Li>| {
        view! {
            <Show when=move || long.get()>
                <li class="rows-room" aria-hidden="true" node_ref=node></li>
            </Show>
        }
    };
    view! {
        {space(above)}
        <For each=move || shown.get() key=|id| *id children=move |id| row(id)/>
        {space(below)}
    }
}

/// The element id of a step run's row.
pub fn row_id(id: StepRunId) -> String {
    format!("step-{id}")
}

/// The first `most` steps of a plan.
pub fn first_steps(count: usize, most: usize) -> Vec<StepRunId> {
    (0..count.min(most)).map(StepRunId::of).collect()
}
