//! Everything at once: text to template, plan and problems. What the editor, the API and the engine use.

use super::compile::plan;
use super::document::Template;
use super::place::{Located, Problems};
use super::{json, parse as fields, yaml};
use crate::plan::Plan;
use crate::problem::Problem;

/// Largest document, in bytes.
pub const MAX_BYTES: usize = 1024 * 1024;

/// What a document is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    Yaml,
    Json,
}

/// What came of checking a document.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Checked {
    /// There when the shape of the document is right.
    pub template: Option<Template>,
    /// There when nothing at all is wrong.
    pub plan: Option<Plan>,
    /// From top to bottom, each with its line.
    pub problems: Vec<Problem>,
    /// Likely slips. They keep no document from being stored or executed.
    pub hints: Vec<Problem>,
}

/// Reads and checks a document.
pub fn check(source: &str, format: Format) -> Checked {
    let document = match read(source, format) {
        Ok(document) => document,
        Err(problem) => return Checked { problems: vec![problem], ..Checked::default() },
    };
    let mut problems = Problems::of(Some(&document));
    let template = fields::template(&document.value, &mut problems);
    let plan = template.as_ref().and_then(|template| plan(template, &mut problems));
    let sound = problems.is_empty();
    let (problems, hints) = problems.into_problems_and_hints();
    Checked { template, plan: plan.filter(|_| sound), problems, hints }
}

/// Reads a document: its shape, its fields and their limits. Flow and expressions are not looked at.
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
