//! The entries of the palette, built on the server: pages, actions, and the project's objects.

use super::server::{DO, Entry, EntryKind};
use crate::{layout::Section, layout::ThemePreference};
use domain::{
    key::ProjectKey,
    view::{Found, FoundThing, Role, TemplateSummary},
};

fn entry(
    kind: EntryKind,
    label: impl Into<String>,
    detail: impl Into<String>,
    href: impl Into<String>,
) -> Entry {
    Entry { kind, label: label.into(), detail: detail.into(), href: href.into() }
}

/// Entries that need no project.
pub fn of_nowhere() -> Vec<Entry> {
    let mut entries = vec![
        entry(EntryKind::Page, "Models", "Settings", "/settings/models"),
        entry(EntryKind::Page, "Members", "Settings", "/settings/members"),
        entry(EntryKind::Page, "API tokens", "Settings", "/settings/tokens"),
    ];
    for theme in ThemePreference::ALL {
        let label = format!("Theme: {}", theme.label().to_lowercase());
        entries.push(entry(EntryKind::Action, label, "", format!("{DO}theme-{}", theme.as_str())));
    }
    entries.push(entry(EntryKind::Action, "Collapse or expand the sidebar", "", format!("{DO}sidebar")));
    entries.push(entry(EntryKind::Action, "Keyboard shortcuts", "", format!("{DO}help")));
    entries
}

/// Entries of a project. Those that edit are included only if the user may edit.
pub fn of_project(
    project: &ProjectKey,
    may_edit: bool,
    templates: Vec<TemplateSummary>,
    roles: Vec<Role>,
) -> Vec<Entry> {
    let base = format!("/p/{project}");
    let mut entries: Vec<_> = Section::EVERY
        .into_iter()
        .filter(|section| *section != Section::Settings)
        .map(|section| entry(EntryKind::Page, section.label(), "", section.href(project)))
        .collect();
    if may_edit {
        for (label, path) in [
            ("New conversation", "conversations/new"),
            ("New template", "templates/new"),
            ("New role", "roles/new"),
        ] {
            entries.push(entry(EntryKind::Action, label, "", format!("{base}/{path}")));
        }
        for template in &templates {
            // The palette's link restores the last input at once.
            let href = format!("{base}/templates/{}/execute?again=1", template.key);
            let label = format!("Execute {}…", template.name);
            entries.push(entry(EntryKind::Execute, label, template.key.as_str(), href));
        }
    }
    for template in templates {
        let href = format!("{base}/templates/{}", template.key);
        entries.push(entry(EntryKind::Template, template.name, template.key.as_str(), href));
    }
    for role in roles {
        let href = format!("{base}/roles/{}", role.key);
        entries.push(entry(EntryKind::Role, role.name, role.key.as_str(), href));
    }
    entries.extend(of_nowhere());
    entries
}

/// The URL of a search result.
pub fn href(project: &ProjectKey, what: &FoundThing) -> String {
    match what {
        FoundThing::Run { run, .. } => format!("/p/{project}/runs/{run}"),
        FoundThing::Template { template } => format!("/p/{project}/templates/{template}"),
        FoundThing::Role { role } => format!("/p/{project}/roles/{role}"),
        FoundThing::Conversation { task } => format!("/p/{project}/conversations/{task}"),
        FoundThing::Message { task, message, .. } => {
            format!("/p/{project}/conversations/{task}?message={message}#m-{message}")
        }
    }
}

pub fn kind(what: &FoundThing) -> EntryKind {
    match what {
        FoundThing::Run { .. } => EntryKind::Run,
        FoundThing::Template { .. } => EntryKind::Template,
        FoundThing::Role { .. } => EntryKind::Role,
        FoundThing::Conversation { .. } => EntryKind::Conversation,
        FoundThing::Message { .. } => EntryKind::Message,
    }
}

pub fn found(project: &ProjectKey, found: Found) -> Entry {
    let href = href(project, &found.what);
    let excerpt: String = found.excerpt.iter().map(|piece| piece.text.as_str()).collect();
    match kind(&found.what) {
        // A message has no title, so its text is the label.
        EntryKind::Message => entry(EntryKind::Message, excerpt, found.title, href),
        kind => entry(kind, found.title, "", href),
    }
}
