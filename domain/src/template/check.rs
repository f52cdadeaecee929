//! All checks at once: from source text to template, plan and problems. The editor, the API and the engine use it.

use super::compile::plan;
use super::document::Template;
use super::place::{Located, Problems};
use super::{json, parse as fields, yaml};
use crate::plan::Plan;
use crate::problem::Problem;
use crate::schema::Shelf;

/// Largest document, in bytes.
pub const MAX_BYTES: usize = 1024 * 1024;

/// The format of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    Yaml,
    Json,
}

/// The result of checking a document.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Checked {
    /// Present if the document has the right shape.
    pub template: Option<Template>,
    /// Present if there are no problems.
    pub plan: Option<Plan>,
    /// Sorted by line.
    pub problems: Vec<Problem>,
    /// Probable mistakes. They do not prevent storing or executing the document.
    pub hints: Vec<Problem>,
}

/// Reads and checks a document.
pub fn check(source: &str, format: Format) -> Checked {
    check_with(source, format, &Shelf::default())
}

/// As [`check`], but the patterns of schemas are compiled one document at a time among all that share the shelf.
pub fn check_with(source: &str, format: Format, shelf: &Shelf) -> Checked {
    let document = match read(source, format) {
        Ok(document) => document,
        Err(problem) => return Checked { problems: vec![problem], ..Checked::default() },
    };
    let mut problems = Problems::of(Some(&document));
    let template = fields::template(&document.value, &mut problems);
    let plan = template.as_ref().and_then(|template| plan(template, shelf, &mut problems));
    let sound = problems.is_empty();
    let (problems, hints) = problems.into_problems_and_hints();
    Checked { template, plan: plan.filter(|_| sound), problems, hints }
}

/// Reads a document and checks its shape, its fields and their limits, but not its flow and expressions.
pub fn parse(source: &str, format: Format) -> Result<Template, Vec<Problem>> {
    let document = read(source, format).map_err(|problem| vec![problem])?;
    let mut problems = Problems::of(Some(&document));
    match fields::template(&document.value, &mut problems) {
        Some(template) if problems.is_empty() => Ok(template),
        _ => Err(problems.into_vec()),
    }
}

fn read(source: &str, format: Format) -> Result<Located, Problem> {
    if source.len() > MAX_BYTES {
        let message =
            format!("the document is too large: {} bytes, at most {MAX_BYTES} (1 MB) are read", source.len());
        return Err(Problem::new("", message));
    }
    match format {
        Format::Yaml => yaml::read(source),
        Format::Json => json::read(source),
    }
}
