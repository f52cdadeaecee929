//! The parts of the drawing: columns, edges, steps.

use super::{
    layout::{COLUMN_GAP, Edge, NODE_HEIGHT, NODE_WIDTH},
    scene::{Flaw, Group, Node, Scene, breadth},
};
use crate::ui::{Glyph, Status};
use leptos::prelude::*;

/// The current state of a run's step in the drawing.
#[derive(Clone, Debug, PartialEq)]
pub struct Look {
    pub status: Status,
    pub line: String,
    /// The step's role.
    pub role: String,
    /// The colour class of the role.
    pub hue: &'static str,
}

/// A band for each wave, with its number and the number of its steps.
pub fn columns(scene: &Scene) -> impl IntoView + use<> {
    let height = scene.layout.height;
    scene
        .layout
        .columns
        .iter()
        .enumerate()
        .map(|(wave, column)| {
            let words = match column.steps {
                0 | 1 => format!("{}", wave + 1),
                steps => format!("{} · {steps} at once", wave + 1),
            };
            view! {
                <rect
                    class="canvas-column"
                    x=column.x - COLUMN_GAP / 4
                    y="-36"
                    width=NODE_WIDTH + COLUMN_GAP / 2
                    height=height + 52
                    rx="8"
                ></rect>
                <text class="canvas-wave" x=column.x y="-18">{words}</text>
            }
        })
        .collect_view()
}

/// A frame around each group, with its name below.
pub fn groups(scene: &Scene) -> impl IntoView + use<> {
    let frame = |group: &Group| {
        let Group { name, x, y, width, height } = group.clone();
        view! {
            <rect class="canvas-group" x=x y=y width=width height=height rx="10"></rect>
            <text class="canvas-group-name" x=x + width - 10 y=y + height - 8>{name}</text>
        }
    };
    scene.groups.iter().map(frame).collect_view()
}

/// `chosen`: edges of the chosen step are highlighted. `plus`: edges have a button to insert a step.
pub fn edges(scene: &Scene, chosen: Signal<Option<usize>>, plus: bool) -> impl IntoView + use<> {
    scene.layout.edges.iter().map(|edge| line(edge, chosen, plus)).collect_view()
}

fn line(edge: &Edge, chosen: Signal<Option<usize>>, plus: bool) -> impl IntoView + use<> {
    let (from, to) = (edge.from, edge.to);
    let near = move || chosen.get().is_some_and(|chosen| [from, to].contains(&Some(chosen as u32)));
    let path = view! {
        <path
            class="canvas-edge"
            class:canvas-edge-near=near
            d=edge.path.clone()
            marker-end=to.map(|_| "url(#canvas-arrow)")
        ></path>
    };
    let (x, y) = edge.middle;
    let plus = (plus && from.is_some() && to.is_some()).then(|| {
        view! {
            <path class="canvas-edge-reach" d=edge.path.clone()></path>
            <g class="canvas-plus" transform=format!("translate({x} {y})")>
                <circle r="10"></circle>
                <path d="M-4.5 0h9M0 -4.5v9"></path>
            </g>
        }
    });
    view! { <g class="canvas-line">{path}{plus}</g> }
}

#[component]
pub fn NodeView(
    node: Node,
    x: i32,
    y: i32,
    id: String,
    #[prop(into)] chosen: Signal<bool>,
    #[prop(into)] marked: Signal<bool>,
    look: Option<Signal<Look>>,
    /// Whether the step has a port from which edges can be drawn.
    port: bool,
) -> impl IntoView {
    let class = move || {
        let mut class = String::from("canvas-node");
        let words = [
            (chosen.get(), " canvas-chosen"),
            (marked.get(), " canvas-marked"),
            (node.flaw == Some(Flaw::Problem), " canvas-flawed"),
        ];
        words.iter().filter(|(is, _)| *is).for_each(|(_, word)| class.push_str(word));
        if let Some(look) = look {
            let look = look.read();
            class.push_str(&format!(" canvas-run {} {}", look.status.class(), look.hue));
        }
        class
    };
    let said = node.label.clone();
    let label = move || match look {
        Some(look) => {
            let look = look.read();
            format!("{said}: {} {}", look.status.label(), look.line)
        }
        None => match node.flaw {
            Some(Flaw::Problem) => format!("{said}; has a problem"),
            Some(Flaw::Hint) => format!("{said}; has a hint"),
            None => said.clone(),
        },
    };
    let (glyph, line) = (node.glyph, node.line.clone());
    let icon = move || look.map_or(glyph, |look| look.read().status.glyph()).path();
    let line = move || look.map_or_else(|| line.clone(), |look| look.read().line.clone());
    let behind = node.many.then(|| {
        view! {
            <rect class="canvas-box" x="10" y="10" width=NODE_WIDTH height=NODE_HEIGHT rx="8"></rect>
            <rect class="canvas-box" x="5" y="5" width=NODE_WIDTH height=NODE_HEIGHT rx="8"></rect>
        }
    });
    let condition = node.condition.map(|text| {
        view! {
            <path class="canvas-diamond" d=format!("M-12 {0}l8 -8 8 8 -8 8z", NODE_HEIGHT / 2)></path>
            <text class="canvas-condition" x="2" y="-7">{text}</text>
        }
    });
    let flaw = node.flaw.map(|flaw| {
        let (class, glyph) = match flaw {
            Flaw::Problem => ("canvas-flaw", Glyph::Warning),
            Flaw::Hint => ("canvas-flaw canvas-hint", Glyph::Info),
        };
        view! { <path class=class transform=format!("translate({} 10)", NODE_WIDTH - 26) d=glyph.path()></path> }
    });
    let role = look.map(|look| {
        view! {
            <rect class="canvas-role" x="1" y="8" width="3" height=NODE_HEIGHT - 16 rx="1.5"></rect>
            <text class="canvas-text" x="12" y="68">{move || look.read().role.clone()}</text>
        }
    });
    let port = port.then(|| {
        view! { <circle class="canvas-port" cx=NODE_WIDTH cy=NODE_HEIGHT / 2 r="6"></circle> }
    });
    view! {
        <g
            class=class
            id=id
            role="option"
            aria-selected=move || if chosen.get() { "true" } else { "false" }
            aria-label=label
            transform=format!("translate({x} {y})")
        >
            {behind}
            <rect class="canvas-box" width=NODE_WIDTH height=NODE_HEIGHT rx="8"></rect>
            <g class="canvas-words">
                <path class="canvas-icon" transform="translate(12 11)" d=icon></path>
                <text class="canvas-name" x="36" y="24">{node.name}</text>
                <text class="canvas-text" x="12" y="46">{line}</text>
                {badges(node.badges)}
                {role}
                {condition}
            </g>
            {flaw}
            {port}
        </g>
    }
}

/// Renders as many badges as fit.
fn badges(badges: Vec<String>) -> impl IntoView {
    let mut x = 12.0_f32;
    let mut shown = Vec::new();
    for badge in badges {
        let width = (breadth(&badge) * 6.8 + 14.0).round();
        if x + width > NODE_WIDTH as f32 - 8.0 {
            break;
        }
        shown.push(view! {
            <rect class="canvas-badge" x=x y="57" width=width height="18" rx="9"></rect>
            <text class="canvas-badge-word" x=x + width / 2.0 y="70">{badge}</text>
        });
        x += width + 4.0;
    }
    shown.into_iter().collect_view()
}
