//! The roles of the last launch of a template, kept in the browser.

use crate::kept::Kept;
use domain::key::{ProjectKey, TemplateKey};
use std::collections::BTreeMap;

fn place(project: &ProjectKey, template: &TemplateKey) -> String {
    format!("troupe:roles:{project}/{template}")
}

/// Step name to role key; empty if nothing is kept.
pub fn read(project: &ProjectKey, template: &TemplateKey) -> BTreeMap<String, String> {
    Kept::InBrowser.read(&place(project, template)).unwrap_or_default()
}

pub fn write(project: &ProjectKey, template: &TemplateKey, roles: &BTreeMap<String, String>) {
    Kept::InBrowser.write(&place(project, template), roles, usize::MAX);
}
