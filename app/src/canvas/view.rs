//! The drawing in its viewport: panned by pointer, wheel, and Shift with arrows; zoomed by Ctrl with the wheel, `+`,
//! `-` and buttons. Moving the camera changes one attribute and re-renders nothing.

use super::{
    camera::{Camera, FAR, HEAD, MARGIN, Size},
    draw::{Look, NodeView, columns, edges, groups},
    keys::{Way, beside},
    layout::{NODE_HEIGHT, NODE_WIDTH},
    map::Map,
    scene::Scene,
};
use crate::ui::{ButtonSize, Glyph, IconButton};
use leptos::{ev, prelude::*, svg};
use std::collections::BTreeSet;

/// Distance that the pointer may move before the gesture counts as a drag, in pixels.
const STILL: f64 = 4.0;
/// Distance that an arrow moves the view, in pixels.
const NUDGE: f64 = 80.0;
const ZOOM_STEP: f64 = 1.25;
/// Maximum distance of the pointer from a port or a plus button, in drawing units.
const REACH: f64 = 14.0;
/// Minimum and maximum height of a drawing whose height follows its steps.
const HEIGHTS: (i32, i32) = (168, 520);

/// An edge from a step to one that depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Joint {
    pub from: usize,
    pub to: usize,
}

/// The editing actions.
#[derive(Clone, Copy)]
pub struct Editing {
    pub on_connect: Callback<Joint>,
    /// The plus button on an edge was pressed.
    pub on_insert: Callback<Joint>,
    /// Receives key events first; returns true if it handled the key.
    pub on_key: Callback<ev::KeyboardEvent, bool>,
    /// The pointer chose a step.
    pub on_tap: Callback<()>,
    pub marked: RwSignal<BTreeSet<usize>>,
}

/// The current pointer gesture.
#[derive(Clone, Copy, Debug)]
struct Drag {
    /// The viewport's corner on the page.
    origin: Size,
    begun: Size,
    last: Size,
    moving: bool,
    /// The step from whose port an edge is drawn.
    port: Option<usize>,
}

#[component]
pub fn Canvas(
    /// Prefix of the ids of the steps.
    #[prop(into)]
    id: String,
    #[prop(into)] label: String,
    scene: Memo<Scene>,
    #[prop(into)] chosen: Signal<Option<usize>>,
    on_choose: Callback<Option<usize>>,
    /// Called for Enter or a double click on a step.
    #[prop(optional, into)]
    on_open: Option<Callback<usize>>,
    /// Whether a single click opens a step as well.
    #[prop(optional)]
    open_on_click: bool,
    #[prop(optional, into)] look: Option<Callback<usize, Signal<Look>>>,
    #[prop(optional, into)] editing: Option<Editing>,
    /// Fill the container's height instead of following the height of the steps.
    #[prop(optional)]
    tall: bool,
) -> impl IntoView {
    let frame = NodeRef::<svg::Svg>::new();
    let camera = RwSignal::new(Camera::START);
    let room = RwSignal::new((0.0, 0.0));
    let drag = StoredValue::new(None::<Drag>);
    // The loose end of the edge being drawn: its step, and the pointer's position.
    let loose = RwSignal::new(None::<(usize, Size)>);
    let dragging = RwSignal::new(false);
    let opening = move || {
        let (room, scene) = (room.get_untracked(), scene.read_untracked());
        let open = if editing.is_some() { Camera::whole } else { Camera::first };
        open(room, scene.size(), scene.beginning())
    };
    let measure = move || -> Option<(Size, Size)> {
        let area = frame.get_untracked()?.get_bounding_client_rect();
        let size = (area.width(), area.height());
        if size.0 > 0.0 && size != room.get_untracked() {
            let first = room.get_untracked().0 == 0.0;
            room.set(size);
            let drawing = scene.read_untracked().size();
            camera.update(|camera| *camera = if first { opening() } else { camera.held(size, drawing) });
        }
        Some(((area.left(), area.top()), size))
    };
    let shift_to = move |next: Camera| {
        let next = next.held(room.get_untracked(), scene.read_untracked().size());
        let moved = next != camera.get_untracked();
        if moved {
            camera.set(next);
        }
        moved
    };
    let zoom = move |by: f64| {
        measure();
        let (width, height) = room.get_untracked();
        shift_to(camera.get_untracked().zoomed(by, (width / 2.0, height / 2.0)));
    };
    let fit = move || {
        measure();
        camera.set(Camera::fit(room.get_untracked(), scene.read_untracked().size()));
    };
    Effect::new(move |_| {
        frame.track();
        measure();
        let resized = window_event_listener(ev::resize, move |_| {
            measure();
        });
        on_cleanup(move || resized.remove());
    });
    // If the whole drawing was visible, it stays so while it grows, as long as texts are readable.
    Effect::new(move |before: Option<Size>| {
        let drawing = scene.read().size();
        let (room, seen) = (room.get_untracked(), camera.get_untracked());
        if let Some(before) = before.filter(|before| *before != drawing && room.0 > 0.0) {
            let was_whole = before.0 * seen.zoom <= room.0 && before.1 * seen.zoom <= room.1;
            camera.set(match was_whole {
                // The drawing was empty before.
                true if before.0 == 0.0 => opening(),
                true => seen.grown(room, drawing),
                false => seen.held(room, drawing),
            });
        }
        drawing
    });
    // Scrolls the chosen step into view, whatever chose it.
    Effect::new(move |_| {
        let Some(index) = chosen.get() else { return };
        measure();
        let scene = scene.read_untracked();
        if let Some(spot) = scene.layout.steps.get(index)
            && room.get_untracked().0 > 0.0
        {
            let spot = (f64::from(spot.x), f64::from(spot.y));
            let size = (f64::from(NODE_WIDTH), f64::from(NODE_HEIGHT));
            let shown = camera.get_untracked().showing(room.get_untracked(), spot, size);
            if shown != camera.get_untracked() {
                camera.set(shown);
            }
        }
    });

    let keydown = move |event: ev::KeyboardEvent| {
        measure();
        if editing.is_some_and(|editing| editing.on_key.run(event.clone())) {
            event.prevent_default();
            return;
        }
        if event.ctrl_key() || event.meta_key() || event.alt_key() {
            return;
        }
        let key = event.key();
        let direction = Way::of(&key).and_then(Way::direction);
        match (key.as_str(), direction) {
            (_, Some((dx, dy))) if event.shift_key() || scene.read_untracked().nodes.is_empty() => {
                shift_to(camera.get_untracked().moved(dx * NUDGE, dy * NUDGE));
            }
            ("+" | "=", _) => zoom(ZOOM_STEP),
            ("-", _) => zoom(1.0 / ZOOM_STEP),
            ("0", _) => fit(),
            ("Escape", _) if chosen.get_untracked().is_some() => on_choose.run(None),
            ("Enter", _) => match (chosen.get_untracked(), on_open) {
                (Some(index), Some(on_open)) => on_open.run(index),
                _ => return,
            },
            _ => {
                let Some(way) = Way::of(&key) else { return };
                let next = beside(&scene.read_untracked(), chosen.get_untracked(), way);
                if next.is_some() {
                    on_choose.run(next);
                }
            }
        }
        event.prevent_default();
    };
    let wheel = move |event: ev::WheelEvent| {
        let Some((origin, _)) = measure() else { return };
        let at = (f64::from(event.client_x()) - origin.0, f64::from(event.client_y()) - origin.1);
        // Some mice scroll by lines or pages.
        let unit = match event.delta_mode() {
            0 => 1.0,
            1 => 16.0,
            _ => 200.0,
        };
        let (dx, dy) = (event.delta_x() * unit, event.delta_y() * unit);
        let moved = if event.ctrl_key() || event.meta_key() {
            shift_to(camera.get_untracked().zoomed((-dy * 0.002).exp(), at));
            true
        } else if event.shift_key() && dx == 0.0 {
            shift_to(camera.get_untracked().moved(-dy, 0.0))
        } else {
            shift_to(camera.get_untracked().moved(-dx, -dy))
        };
        // At the end of the drawing, the wheel scrolls the page.
        if moved {
            event.prevent_default();
        }
    };
    let hit = move |at: Size| -> Option<usize> {
        let (x, y) = camera.get_untracked().at(at);
        let inside =
            |from: i32, length: i32, value: f64| (f64::from(from)..f64::from(from + length)).contains(&value);
        let scene = scene.read_untracked();
        scene
            .layout
            .steps
            .iter()
            .position(|spot| inside(spot.x, NODE_WIDTH, x) && inside(spot.y, NODE_HEIGHT, y))
    };
    let near = move |(x, y): Size, to: (i32, i32)| (x - f64::from(to.0)).hypot(y - f64::from(to.1)) <= REACH;
    let port_at = move |at: Size| -> Option<usize> {
        editing?;
        let at = camera.get_untracked().at(at);
        let scene = scene.read_untracked();
        scene.layout.steps.iter().position(|spot| near(at, (spot.x + NODE_WIDTH, spot.y + NODE_HEIGHT / 2)))
    };
    let line_at = move |at: Size| -> Option<Joint> {
        editing?;
        let at = camera.get_untracked().at(at);
        let scene = scene.read_untracked();
        let line = scene.layout.edges.iter().find(|edge| near(at, edge.middle))?;
        Some(Joint { from: line.from? as usize, to: line.to? as usize })
    };
    let place = |event: &ev::PointerEvent| (f64::from(event.client_x()), f64::from(event.client_y()));
    let pointerdown = move |event: ev::PointerEvent| {
        let Some((origin, _)) = measure() else { return };
        if event.button() != 0 && event.button() != 1 {
            return;
        }
        let begun = place(&event);
        let port = port_at((begun.0 - origin.0, begun.1 - origin.1));
        drag.set_value(Some(Drag { origin, begun, last: begun, moving: false, port }));
    };
    let pointermove = move |event: ev::PointerEvent| {
        let Some(mut held) = drag.get_value() else { return };
        let now = place(&event);
        if !held.moving && (now.0 - held.begun.0).hypot(now.1 - held.begun.1) < STILL {
            return;
        }
        if !held.moving {
            held.moving = true;
            dragging.set(true);
            if let Some(frame) = frame.get_untracked() {
                let _ = frame.set_pointer_capture(event.pointer_id());
            }
        }
        match held.port {
            Some(from) => {
                let at = camera.get_untracked().at((now.0 - held.origin.0, now.1 - held.origin.1));
                loose.set(Some((from, at)));
            }
            None => {
                shift_to(camera.get_untracked().moved(now.0 - held.last.0, now.1 - held.last.1));
            }
        }
        held.last = now;
        drag.set_value(Some(held));
    };
    let pointerup = move |event: ev::PointerEvent| {
        let Some(held) = drag.get_value() else { return };
        drag.set_value(None);
        loose.set(None);
        dragging.set(false);
        let at = (held.last.0 - held.origin.0, held.last.1 - held.origin.1);
        match (held.moving, editing, held.port) {
            (true, Some(editing), Some(from)) => {
                if let Some(to) = hit(at).filter(|to| *to != from) {
                    editing.on_connect.run(Joint { from, to });
                }
            }
            (true, ..) => {}
            (false, editing, _) => match (hit(at), line_at(at), editing) {
                (None, Some(joint), Some(editing)) => editing.on_insert.run(joint),
                (Some(index), _, Some(editing)) if event.shift_key() => {
                    editing.marked.update(|marked| {
                        // The previously chosen step becomes part of the selection.
                        marked.extend(chosen.get_untracked());
                        if !marked.insert(index) {
                            marked.remove(&index);
                        }
                    });
                }
                (found, _, editing) => {
                    if let Some(editing) =
                        editing.filter(|editing| !editing.marked.read_untracked().is_empty())
                    {
                        editing.marked.set(BTreeSet::new());
                    }
                    on_choose.run(found);
                    if let (Some(_), Some(editing)) = (found, editing) {
                        editing.on_tap.run(());
                    }
                    if let (true, Some(index), Some(on_open)) = (open_on_click, found, on_open) {
                        on_open.run(index);
                    }
                }
            },
        }
    };
    let cancelled = move |_| {
        drag.set_value(None);
        loose.set(None);
        dragging.set(false);
    };
    let opened = move |event: ev::MouseEvent| {
        let Some((origin, _)) = measure() else { return };
        let at = (f64::from(event.client_x()) - origin.0, f64::from(event.client_y()) - origin.1);
        if let (Some(index), Some(on_open)) = (hit(at), on_open) {
            on_open.run(index);
        }
    };

    let node_id = StoredValue::new(id);
    let nodes = move || {
        let scene = scene.read();
        let spots = scene.layout.steps.iter();
        let node = |(index, (node, spot)): (usize, (&super::scene::Node, _))| {
            let spot: &super::layout::Spot = spot;
            let chosen = Signal::derive(move || chosen.get() == Some(index));
            let marked =
                Signal::derive(move || editing.is_some_and(|editing| editing.marked.read().contains(&index)));
            view! {
                <NodeView
                    node=node.clone()
                    x=spot.x
                    y=spot.y
                    id=format!("{}-{index}", node_id.read_value())
                    chosen
                    marked
                    look=look.map(|look| look.run(index))
                    port=editing.is_some()
                />
            }
        };
        scene.nodes.iter().zip(spots).enumerate().map(node).collect_view()
    };
    let height = move || {
        (!tall).then(|| {
            let around = (HEAD + MARGIN) as i32;
            (scene.read().layout.height + around).clamp(HEIGHTS.0, HEIGHTS.1)
        })
    };
    let line = move || {
        let (from, (x, y)) = loose.get()?;
        let spot = *scene.read_untracked().layout.steps.get(from)?;
        let (from_x, from_y) = (spot.x + NODE_WIDTH, spot.y + NODE_HEIGHT / 2);
        Some(
            view! { <path class="canvas-edge canvas-edge-loose" d=format!("M{from_x} {from_y}L{x} {y}")></path> },
        )
    };
    view! {
        <div class="canvas" class:canvas-tall=tall class:canvas-editing=editing.is_some()>
            <svg
                class="canvas-view"
                class:canvas-far=move || camera.get().zoom < FAR
                class:canvas-dragging=move || dragging.get()
                node_ref=frame
                height=height
                role="listbox"
                tabindex="0"
                aria-label=label
                aria-activedescendant=move || chosen.get().map(|index| format!("{}-{index}", node_id.read_value()))
                on:keydown=keydown
                on:wheel=wheel
                on:pointerdown=pointerdown
                on:pointermove=pointermove
                on:pointerup=pointerup
                on:pointercancel=cancelled
                on:dblclick=opened
            >
                <defs>
                    <marker id="canvas-arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">
                        <path class="canvas-arrow" d="M1 1l6 3-6 3z"></path>
                    </marker>
                </defs>
                <g transform=move || {
                    let Camera { x, y, zoom } = camera.get();
                    format!("translate({x:.2} {y:.2}) scale({zoom:.4})")
                }>
                    <g aria-hidden="true">{move || columns(&scene.read())} {move || groups(&scene.read())}</g>
                    <g aria-hidden="true">{move || edges(&scene.read(), chosen, editing.is_some())}</g>
                    {nodes}
                    {line}
                </g>
            </svg>
            <Map scene camera room/>
            <div class="canvas-tools" role="group" aria-label="View">
                <IconButton glyph=Glyph::Minus label="Zoom out (-)" size=ButtonSize::Small on_click=move || zoom(1.0 / ZOOM_STEP)/>
                <IconButton glyph=Glyph::Plus label="Zoom in (+)" size=ButtonSize::Small on_click=move || zoom(ZOOM_STEP)/>
                <IconButton glyph=Glyph::Fit label="Show all of it (0)" size=ButtonSize::Small on_click=fit/>
            </div>
        </div>
    }
    .into_any()
}
