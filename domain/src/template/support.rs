//! Features that this engine cannot execute yet. Templates with them can be written, checked and stored, but not
//! launched.

use super::document::{Step, Template, Uses};

/// The first feature of the template that cannot be executed, worded for the person who launches it.
pub fn unsupported(template: &Template) -> Option<String> {
    template.steps.iter().find_map(|step| {
        let used = unsupported_field(step)?;
        Some(format!("not supported yet: step '{}' uses {used}", step.name))
    })
}

fn unsupported_field(step: &Step) -> Option<String> {
    if !step.tools.is_empty() {
        return Some("tools".to_owned());
    }
    match &step.uses {
        None | Some(Uses::Template(_) | Uses::Approval | Uses::Aggregate) => None,
        Some(other @ (Uses::Component(_) | Uses::Tool(_) | Uses::Agent | Uses::Decompose)) => {
            Some(other.to_string())
        }
    }
}
