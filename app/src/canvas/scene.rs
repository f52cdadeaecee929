//! The contents of a drawing: the texts and symbols of each step, its position, and the edges.

use super::layout::{self, Layout};
use crate::ui::{Glyph, format_duration};
use domain::{
    plan::{OnFailure, Plan},
    template::{Step, Template, Uses, waits},
};

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scene {
    pub nodes: Vec<Node>,
    pub layout: Layout,
    pub waits: Vec<Vec<u32>>,
    pub groups: Vec<Group>,
}

/// Steps of one wave with the same `parallelGroup`, and the frame around them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    pub name: String,
    pub x: i32,
    pub y: i32,
    pub width: i32,
    pub height: i32,
}

/// Margins of a group's frame around its steps, above a step with a condition, and below for the group's name.
const FRAME_SIDE: i32 = 12;
const FRAME_TOP: i32 = 6;
const FRAME_CONDITION: i32 = 20;
const FRAME_FOOT: i32 = 24;

#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    pub name: String,
    pub glyph: Glyph,
    /// One line of the step's prompt.
    pub line: String,
    pub badges: Vec<String>,
    pub condition: Option<String>,
    /// Whether the step runs once per item of a list.
    pub many: bool,
    pub flaw: Option<Flaw>,
    /// The step's description for screen readers.
    pub label: String,
}

/// The kind of finding that a step has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// The step has a problem.
    Problem,
    /// The step has a probable mistake, but works.
    Hint,
}

/// Maximum widths of texts, in units of an average letter.
const NAME: f32 = 20.0;
const LINE: f32 = 28.0;
const CONDITION: f32 = 30.0;

impl Scene {
    /// A template, which may have problems. `flaws` lists the affected steps; the first flaw of a step is shown.
    pub fn of_template(template: &Template, flaws: &[(usize, Flaw)]) -> Self {
        let waits = waits(template);
        let node = |(index, step): (usize, &Step)| {
            let before = waits[index].iter().filter_map(|&other| template.steps.get(other as usize));
            let before: Vec<_> = before.map(|step| step.name.as_str()).collect();
            let flaw = flaws.iter().find(|(step, _)| *step == index).map(|(_, flaw)| *flaw);
            Node { flaw, ..node(step, &before) }
        };
        let nodes: Vec<_> = template.steps.iter().enumerate().map(node).collect();
        let mut layout = layout::layout(&waits);
        let groups = groups(template, &layout);
        let lowest = groups.iter().map(|group| group.y + group.height).max().unwrap_or_default();
        layout.height = layout.height.max(lowest);
        Self { nodes, layout, waits, groups }
    }

    /// A run's plan, which has no texts.
    pub fn of_plan(plan: &Plan) -> Self {
        let waits: Vec<_> = plan.steps.iter().map(|step| step.depends_on.clone()).collect();
        let node = |step: &domain::plan::PlannedStep| Node {
            name: shorten(&step.name, NAME),
            glyph: Glyph::Circle,
            line: String::new(),
            badges: Vec::new(),
            condition: step.condition.then(|| "conditional".to_owned()),
            many: step.for_each,
            flaw: None,
            label: step.name.clone(),
        };
        let nodes = plan.steps.iter().map(node).collect();
        Self { nodes, layout: layout::layout(&waits), waits, groups: Vec::new() }
    }

    pub fn size(&self) -> (f64, f64) {
        (f64::from(self.layout.width), f64::from(self.layout.height))
    }

    /// The vertical range of the first wave.
    pub fn beginning(&self) -> (f64, f64) {
        let first = || self.layout.steps.iter().filter(|spot| spot.wave == 0).map(|spot| spot.y);
        let (top, bottom) = (first().min().unwrap_or_default(), first().max().unwrap_or_default());
        (f64::from(top), f64::from(bottom + layout::NODE_HEIGHT))
    }
}

/// The frames of groups. A frame surrounds only members that are adjacent in their column, so it never contains other
/// steps.
fn groups(template: &Template, layout: &Layout) -> Vec<Group> {
    let mut order: Vec<_> = (0..layout.steps.len()).collect();
    order.sort_by_key(|&index| (layout.steps[index].wave, layout.steps[index].y));
    let together = |one: &usize, next: &usize| {
        let group = |index: usize| template.steps[index].parallel_group.as_ref();
        layout.steps[*one].wave == layout.steps[*next].wave
            && group(*one).is_some()
            && group(*one) == group(*next)
    };
    let members = order.chunk_by(together).filter(|members| members.len() > 1);
    let frame = |members: &[usize]| {
        let (first, last) = (*members.first()?, *members.last()?);
        let head = if template.steps[first].condition.is_some() { FRAME_CONDITION } else { FRAME_TOP };
        let (top, bottom) = (layout.steps[first].y - head, layout.steps[last].y + layout::NODE_HEIGHT);
        Some(Group {
            name: shorten(template.steps[first].parallel_group.as_deref()?, LINE),
            x: layout.steps[first].x - FRAME_SIDE,
            y: top,
            width: layout::NODE_WIDTH + 2 * FRAME_SIDE,
            height: bottom + FRAME_FOOT - top,
        })
    };
    members.filter_map(frame).collect()
}

fn node(step: &Step, before: &[&str]) -> Node {
    let (glyph, kind) = kind(step);
    let said = step.prompt.as_deref().into_iter().chain(step.description.as_deref());
    let line = said.flat_map(str::lines).map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    let facts = [
        step.for_each.as_ref().map(|_| "for each".to_owned()),
        (step.max_retries == 1).then(|| "1 retry".to_owned()),
        (step.max_retries > 1).then(|| format!("{} retries", step.max_retries)),
        step.timeout.map(format_duration),
        step.output_schema.as_ref().map(|_| "schema".to_owned()),
        (step.on_failure == OnFailure::Continue).then(|| "may fail".to_owned()),
    ];
    let badges: Vec<_> = std::iter::once(kind).chain(facts.into_iter().flatten()).collect();
    let mut label = format!("{}: {}", step.name, badges.join(", "));
    if let Some(condition) = &step.condition {
        label.push_str(&format!(", only if {condition}"));
    }
    match before {
        [] => label.push_str("; waits for nothing"),
        [.., _] if before.len() > 5 => label.push_str(&format!("; waits for {} steps", before.len())),
        _ => label.push_str(&format!("; waits for {}", before.join(", "))),
    }
    Node {
        name: shorten(&step.name, NAME),
        glyph,
        line: shorten(line, LINE),
        badges,
        condition: step.condition.as_deref().map(|text| shorten(&format!("if {}", bare(text)), CONDITION)),
        many: step.for_each.is_some(),
        flaw: None,
        label,
    }
}

fn kind(step: &Step) -> (Glyph, String) {
    let (glyph, word) = match &step.uses {
        None if step.writes_files() => (Glyph::File, "files"),
        None => (Glyph::Conversations, "prompt"),
        Some(Uses::Agent) => (Glyph::Models, "agent"),
        Some(Uses::Approval) => (Glyph::Inbox, "approval"),
        Some(Uses::Aggregate) => (Glyph::Filter, "aggregate"),
        Some(Uses::Decompose) => (Glyph::Fork, "decompose"),
        Some(Uses::Template(key)) => return (Glyph::Templates, shorten(key.as_ref(), LINE / 2.0)),
        Some(Uses::Component(key)) => return (Glyph::Project, shorten(key.as_ref(), LINE / 2.0)),
        Some(Uses::Tool(name)) => return (Glyph::Settings, shorten(name, LINE / 2.0)),
    };
    (glyph, word.to_owned())
}

fn bare(expression: &str) -> &str {
    let text = expression.trim();
    text.strip_prefix("{{").and_then(|text| text.strip_suffix("}}")).map_or(text, str::trim)
}

/// Approximate width of a letter: the server cannot measure texts.
fn width(letter: char) -> f32 {
    match letter {
        'i' | 'j' | 'l' | 't' | 'f' | 'r' | 'I' | '.' | ',' | ':' | ';' | '\'' | '|' | '(' | ')' | '['
        | ']' | ' ' => 0.6,
        'm' | 'w' | 'M' | 'W' | '@' | '%' => 1.5,
        letter if letter.is_ascii_uppercase() => 1.2,
        letter if letter > '\u{1100}' => 2.0,
        _ => 1.0,
    }
}

pub fn breadth(text: &str) -> f32 {
    text.chars().map(width).sum()
}

/// Cuts the text to the width.
fn shorten(text: &str, room: f32) -> String {
    let mut used = 0.0;
    for (at, letter) in text.char_indices() {
        used += width(letter);
        if used > room {
            return format!("{}…", text[..at].trim_end());
        }
    }
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_in_one_look() {
        let step = Step {
            name: "Judge the very long answers of everybody who took part".into(),
            prompt: Some("\n  Weigh this.\nAnd that.".into()),
            condition: Some("{{ context['A'].value > 7 }}".into()),
            max_retries: 2,
            timeout: Some(30_000),
            ..Step::default()
        };
        let node = node(&step, &["A", "B"]);
        assert_eq!(node.line, "Weigh this.");
        assert_eq!(node.badges, ["prompt", "2 retries", "30.0 s"]);
        assert_eq!(node.condition.as_deref(), Some("if context['A'].value > 7"));
        assert!(node.name.ends_with('…') && breadth(&node.name) < NAME + 2.0);
        assert!(node.label.ends_with("waits for A, B"), "{}", node.label);
    }

    #[test]
    fn a_frame_holds_its_group_and_nobody_else() {
        let step = |name: &str, group: Option<&str>| Step {
            name: name.into(),
            parallel_group: group.map(str::to_owned),
            ..Step::default()
        };
        let template = Template {
            api_version: domain::template::API_VERSION.into(),
            key: domain::key::TemplateKey::from_title("t"),
            name: "T".into(),
            description: None,
            input: None,
            output: None,
            steps: vec![
                step("A", None),
                step("B", Some("both")),
                step("C", Some("both")),
                step("D", Some("alone")),
            ],
        };
        let scene = Scene::of_template(&template, &[]);
        let names: Vec<_> = scene.groups.iter().map(|group| group.name.as_str()).collect();
        assert_eq!(names, ["both"]);
        let (frame, spots) = (&scene.groups[0], &scene.layout.steps);
        let inside = |index: usize| {
            (frame.x..frame.x + frame.width).contains(&spots[index].x)
                && (frame.y..frame.y + frame.height).contains(&spots[index].y)
        };
        assert_eq!([0, 1, 2, 3].map(inside), [false, true, true, false]);
    }
}
