//! Writes a changed template into its author's text: unchanged lines stay as they are, with their comments and their
//! style; only the changed parts are rewritten.
//!
//! The text is cut at the lines where keys and steps begin. A part that cannot be cut (a step on one line, say) is
//! rewritten as a whole. The result is read back: if it is not the same template, the whole document is rewritten.

use serde_json::{Map, Value};

use super::check::{Format, parse};
use super::document::{Step, Template};
use super::place::{Located, Place};
use super::yaml;

/// A document's text after a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revised {
    pub source: String,
    /// Whether unchanged parts were kept as written; otherwise the whole text was rewritten and comments are lost.
    pub kept: bool,
}

/// The text of `template` with the fewest changes to `source`.
pub fn revise(source: &str, template: &Template) -> Revised {
    for tidy in [true, false] {
        let revised = Reviser { tidy }.revise(source, template);
        if let Some(source) = revised
            && parse(&source, Format::Yaml).is_ok_and(|read| same(&read, template))
        {
            return Revised { source, kept: true };
        }
    }
    // A text without comments loses only its style.
    let said = source.lines().any(|line| line.trim_start().starts_with('#') || line.contains(" #"));
    Revised { source: template.to_yaml(), kept: !said }
}

/// The line of each step, from 1. Empty if the text cannot be read.
pub fn step_lines(source: &str) -> Vec<u32> {
    let Ok(Located { value: Value::Object(map), place }) = yaml::read(source) else { return Vec::new() };
    let Some(at) = map.keys().position(|key| key == "steps") else { return Vec::new() };
    let steps = place.children.get(at).map(|steps| steps.children.iter().map(|step| step.line).collect());
    steps.unwrap_or_default()
}

/// Whole lines, each with its line end.
type Lines = Vec<String>;

struct Reviser {
    /// Whether empty lines of texts are written without indentation.
    tidy: bool,
}

/// Writes the steps below their key; the arguments are the first line of the key and the line after its end.
type Steps<'s> = dyn Fn(&Block<'_>, (usize, usize), &Place) -> Option<Lines> + 's;

/// A mapping in the text.
struct Block<'b> {
    lines: &'b [String],
    /// The index of the block's first line, from 0.
    first: usize,
    raw: &'b Map<String, Value>,
    place: &'b Place,
}

impl Reviser {
    fn revise(&self, source: &str, template: &Template) -> Option<String> {
        let before = parse(source, Format::Yaml).ok()?;
        if same(&before, template) {
            return Some(source.to_owned());
        }
        let document = yaml::read(source).ok()?;
        let mut lines: Lines = source.split_inclusive('\n').map(str::to_owned).collect();
        if let Some(last) = lines.last_mut().filter(|last| !last.ends_with('\n')) {
            last.push('\n');
        }
        let block =
            Block { lines: &lines, first: 0, raw: document.value.as_object()?, place: &document.place };
        let (old, new) = (object(&before)?, object(template)?);
        let steps = |block: &Block<'_>, range, place: &Place| {
            self.steps(block, range, place, &before.steps, &template.steps)
        };
        Some(self.mapping(&block, &old, &new, Some(&steps))?.concat())
    }

    /// Writes a mapping. `old` and `new` are in their normal form; `raw` may have more, such as an explicit default.
    fn mapping(
        &self,
        block: &Block<'_>,
        old: &Map<String, Value>,
        new: &Map<String, Value>,
        steps: Option<&Steps<'_>>,
    ) -> Option<Lines> {
        let (ranges, indent) = cut(block)?;
        let tail_from = ranges.last().map_or(0, |(_, _, end)| *end);
        let mut parts: Vec<(&str, Lines)> = Vec::new();
        for ((key, place), &(start, at, end)) in block.raw.keys().zip(&block.place.children).zip(&ranges) {
            let kept = || block.lines[start..end].to_vec();
            let lines = match (old.get(key), new.get(key)) {
                (before, after) if same(&before, &after) => kept(),
                (_, None) => continue,
                (Some(_), Some(after)) => {
                    let nested = match (&block.raw[key], after, steps) {
                        (Value::Array(_), Value::Array(_), Some(steps)) if key == "steps" => {
                            steps(block, (start, end), place)
                        }
                        (Value::Object(raw), Value::Object(after), _) if in_order(raw, after) => self
                            .nested(block, (at, end), raw, place, after)
                            .map(|inner| [&block.lines[start..=at], &inner].concat()),
                        _ => None,
                    };
                    match nested {
                        Some(lines) => lines,
                        None => [&block.lines[start..at], &self.entry(key, after, indent)?].concat(),
                    }
                }
                (None, Some(after)) => [&block.lines[start..at], &self.entry(key, after, indent)?].concat(),
            };
            parts.push((key, lines));
        }
        let mut before: Option<&str> = None;
        for (key, value) in new {
            if !parts.iter().any(|(other, _)| other == key) {
                let at = before.and_then(|before| parts.iter().position(|(other, _)| *other == before));
                parts.insert(at.map_or(0, |at| at + 1), (key, self.entry(key, value, indent)?));
            }
            before = Some(key);
        }
        let mut lines: Lines = parts.into_iter().flat_map(|(_, lines)| lines).collect();
        lines.extend_from_slice(&block.lines[tail_from..]);
        Some(lines)
    }

    /// Writes the block below the line `at`, which holds only a key.
    fn nested(
        &self,
        block: &Block<'_>,
        (at, end): (usize, usize),
        raw: &Map<String, Value>,
        place: &Place,
        after: &Map<String, Value>,
    ) -> Option<Lines> {
        let below = place.children.first()?.line as usize - 1;
        if below <= block.first + at || after.is_empty() {
            return None;
        }
        let inner = Block { lines: &block.lines[at + 1..end], first: block.first + at + 1, raw, place };
        self.mapping(&inner, raw, after, None)
    }

    /// The key `steps` and everything below it.
    fn steps(
        &self,
        block: &Block<'_>,
        (start, end): (usize, usize),
        place: &Place,
        old: &[Step],
        new: &[Step],
    ) -> Option<Lines> {
        let first = place.children.first()?;
        let line_of = |place: &Place| (place.line as usize).checked_sub(block.first + 1);
        let head = block.lines.get(line_of(first)?)?.get(..first.column as usize - 1)?;
        let dash = head.find('-').filter(|_| head.trim() == "-")?;
        let mut starts = Vec::with_capacity(place.children.len());
        let mut least = line_of(place)? + 1;
        for step in &place.children {
            let at = line_of(step)?;
            if at < least || step.column != first.column {
                return None;
            }
            starts.push((comments_above(block.lines, least, at, dash), at));
            least = at + 1;
        }
        let spaced =
            starts.iter().skip(1).any(|(from, at)| from < at && block.lines[*from].trim().is_empty());
        let raw = block.raw.get("steps")?.as_array()?;
        let mut lines = block.lines[start..starts.first()?.0].to_vec();
        for (place_now, (step, known)) in new.iter().zip(pairs(old, new)).enumerate() {
            let mut written = match known {
                None => self.item(step, dash)?,
                Some(index) => {
                    let (from, at) = starts[index];
                    let to = starts.get(index + 1).map_or(end, |(next, _)| *next);
                    if same(&old[index], step) {
                        block.lines[from..to].to_vec()
                    } else {
                        let mut own = block.lines[at..to].to_vec();
                        let text = own.first()?.get(head.len()..)?;
                        own[0] = format!("{}{text}", " ".repeat(head.len()));
                        let inner = Block {
                            lines: &own,
                            first: block.first + at,
                            raw: raw.get(index)?.as_object()?,
                            place: place.children.get(index)?,
                        };
                        let own = match self.mapping(&inner, &object(&old[index])?, &object(step)?, None) {
                            Some(mut own) => {
                                let key = own.iter().position(|line| !is_comment_or_blank(line))?;
                                let text = own[key].strip_prefix(&" ".repeat(head.len()))?;
                                own[key] = format!("{head}{text}");
                                own
                            }
                            None => self.item(step, dash)?,
                        };
                        [&block.lines[from..at], &own].concat()
                    }
                }
            };
            let blank = written.iter().take_while(|line| line.trim().is_empty()).count();
            match (place_now, blank) {
                (0, 1..) => drop(written.drain(..blank)),
                // A step that keeps its position keeps its spacing; a new step, or one that was first, gets the usual
                // spacing.
                (1.., 0) if spaced && known.is_none_or(|index| index == 0) => lines.push("\n".to_owned()),
                _ => {}
            }
            lines.append(&mut written);
        }
        Some(lines)
    }

    /// A step as an item of the list.
    fn item(&self, step: &Step, dash: usize) -> Option<Lines> {
        let mut lines = self.written(&Value::Object(object(step)?), dash + 2)?;
        let first = lines.first_mut()?;
        first.replace_range(dash..=dash, "-");
        Some(lines)
    }

    fn entry(&self, key: &str, value: &Value, indent: usize) -> Option<Lines> {
        let mut map = Map::new();
        map.insert(key.to_owned(), value.clone());
        self.written(&Value::Object(map), indent)
    }

    fn written(&self, value: &Value, indent: usize) -> Option<Lines> {
        let options = serde_saphyr::ser_options! {
            folded_wrap_chars: usize::MAX,
            compact_list_indent: false,
        };
        let yaml = serde_saphyr::to_string_with_options(value, options).ok()?;
        let line = |line: &str| match line.trim_end_matches('\n') {
            empty if self.tidy && empty.trim().is_empty() => "\n".to_owned(),
            line => format!("{}{line}\n", " ".repeat(indent)),
        };
        Some(yaml.split_inclusive('\n').map(line).collect())
    }
}

/// The first line of a key including the comments above it, the line of the key, and the line after its end.
type Range = (usize, usize, usize);

/// The range of each key, and the keys' indentation. `None` if keys share lines.
fn cut(block: &Block<'_>) -> Option<(Vec<Range>, usize)> {
    if block.place.children.len() != block.raw.len() {
        return None;
    }
    let indent = block.place.children.first()?.column as usize - 1;
    let mut found: Vec<(usize, usize)> = Vec::with_capacity(block.raw.len());
    let mut least = 0;
    for key in &block.place.children {
        let at = (key.line as usize).checked_sub(block.first + 1)?;
        if at < least || at >= block.lines.len() || key.column as usize != indent + 1 {
            return None;
        }
        if !block.lines[at].get(..indent)?.trim().is_empty() {
            return None;
        }
        let start = if found.is_empty() { 0 } else { comments_above(block.lines, least, at, indent) };
        found.push((start, at));
        least = at + 1;
    }
    // Empty lines at the end stay at the end.
    let last = found.last()?.1;
    let full =
        block.lines.iter().rposition(|line| !line.trim().is_empty()).map_or(last, |full| full.max(last));
    let ends = found.iter().skip(1).map(|(start, _)| *start).chain([full + 1]);
    let ranges = found.iter().zip(ends).map(|(&(start, at), end)| (start, at, end)).collect();
    Some((ranges, indent))
}

/// The first of the comments and empty lines directly above a line, indented no deeper than the key.
fn comments_above(lines: &[String], least: usize, at: usize, indent: usize) -> usize {
    let shallow = |line: &str| line.len() - line.trim_start().len() <= indent || line.trim().is_empty();
    (least..at)
        .rev()
        .take_while(|&above| is_comment_or_blank(&lines[above]) && shallow(&lines[above]))
        .last()
        .unwrap_or(at)
}

fn is_comment_or_blank(line: &str) -> bool {
    let text = line.trim();
    text.is_empty() || text.starts_with('#')
}

/// For each new step, the old step that it corresponds to: the one with its name, else the one at its position if that
/// name is gone.
fn pairs(old: &[Step], new: &[Step]) -> Vec<Option<usize>> {
    let position = |steps: &[Step]| -> std::collections::HashMap<String, usize> {
        steps.iter().enumerate().rev().map(|(index, step)| (step.name.clone(), index)).collect()
    };
    let (olds, news) = (position(old), position(new));
    let mut taken = vec![false; old.len()];
    let mut pairs: Vec<_> = new
        .iter()
        .map(|step| {
            olds.get(&step.name).copied().filter(|&index| !std::mem::replace(&mut taken[index], true))
        })
        .collect();
    if old.len() == new.len() {
        for (index, pair) in pairs.iter_mut().enumerate() {
            if pair.is_none() && !taken[index] && !news.contains_key(&old[index].name) {
                *pair = Some(index);
            }
        }
    }
    pairs
}

/// Equal, including the order of fields: a form shows its fields in the order of its schema.
fn same<T: serde::Serialize>(one: &T, other: &T) -> bool {
    matches!((serde_json::to_string(one), serde_json::to_string(other)), (Ok(one), Ok(other)) if one == other)
}

/// Whether the keys that both mappings have are in the same order.
fn in_order(one: &Map<String, Value>, other: &Map<String, Value>) -> bool {
    one.keys().filter(|key| other.contains_key(*key)).eq(other.keys().filter(|key| one.contains_key(*key)))
}

fn object(value: &impl serde::Serialize) -> Option<Map<String, Value>> {
    match serde_json::to_value(value) {
        Ok(Value::Object(map)) => Some(map),
        _ => None,
    }
}
