//! The overview map: the whole drawing at a small scale, with a frame around its visible part.

use super::{
    camera::{Camera, Size},
    layout::{NODE_HEIGHT, NODE_WIDTH},
    scene::Scene,
};
use leptos::{ev, html, prelude::*};
use std::fmt::Write;

const WIDTH: f64 = 168.0;
const HEIGHTS: (f64, f64) = (20.0, 96.0);

/// Shown only while part of the drawing is out of view. Keyboard users reach every step by arrows, so the map serves
/// the pointer only.
#[component]
pub fn Map(scene: Memo<Scene>, camera: RwSignal<Camera>, room: RwSignal<Size>) -> impl IntoView {
    let frame = NodeRef::<html::Div>::new();
    let hidden = Memo::new(move |_| {
        let (room, camera) = (room.get(), camera.get());
        let (width, height) = scene.read().size();
        // Until the size of the viewport is known, nothing counts as out of view.
        room.0 == 0.0 || (width * camera.zoom <= room.0 && height * camera.zoom <= room.1)
    });
    let drawn = move || {
        let scene = scene.read();
        let (width, height) = scene.size();
        let mut path = String::new();
        for spot in &scene.layout.steps {
            let _ = write!(path, "M{} {}h{NODE_WIDTH}v{NODE_HEIGHT}h-{NODE_WIDTH}z", spot.x, spot.y);
        }
        let tall = (WIDTH * height / width.max(1.0)).clamp(HEIGHTS.0, HEIGHTS.1);
        view! {
            <svg width=WIDTH height=tall viewBox=format!("0 0 {} {}", width.max(1.0), height.max(1.0)) preserveAspectRatio="none">
                <path class="canvas-map-steps" d=path></path>
                <rect
                    class="canvas-map-seen"
                    x=move || camera.get().at((0.0, 0.0)).0
                    y=move || camera.get().at((0.0, 0.0)).1
                    width=move || room.get().0 / camera.get().zoom
                    height=move || room.get().1 / camera.get().zoom
                ></rect>
            </svg>
        }
    };
    let look = move |event: ev::PointerEvent| {
        if event.buttons() & 1 == 0 {
            return;
        }
        let Some(frame) = frame.get_untracked() else { return };
        event.prevent_default();
        let area = frame.get_bounding_client_rect();
        let size = scene.read_untracked().size();
        let x = (f64::from(event.client_x()) - area.left()) / area.width() * size.0;
        let y = (f64::from(event.client_y()) - area.top()) / area.height() * size.1;
        let room = room.get_untracked();
        camera.update(|camera| {
            let moved =
                Camera { x: room.0 / 2.0 - x * camera.zoom, y: room.1 / 2.0 - y * camera.zoom, ..*camera };
            *camera = moved.held(room, size);
        });
    };
    view! {
        <div
            class="canvas-map"
            class:canvas-map-idle=move || hidden.get()
            node_ref=frame
            aria-hidden="true"
            on:pointerdown=look
            on:pointermove=look
        >
            {drawn}
        </div>
    }
}
