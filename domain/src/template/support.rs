//! What this engine cannot execute yet. Such templates can be written, checked and kept; launching one says so.

use super::document::{Step, Template};

/// The first thing in the template that cannot be executed, in words for the person who launches it.
pub fn unsupported(template: &Template) -> Option<String> {
    template.steps.iter().find_map(|step| {
        let used = unsupported_field(step)?;
        Some(format!("not supported yet: step '{}' uses {used}", step.name))
    })
}

fn unsupported_field(step: &Step) -> Option<String> {
    if step.for_each.is_some() {
        Some("forEach".to_owned())
    } else if !step.tools.is_empty() {
        Some("tools".to_owned())
    } else {
        step.uses.as_ref().map(ToString::to_string)
    }
}
