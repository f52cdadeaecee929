//! The sections of a project in the sidebar.

use domain::key::ProjectKey;
use leptos::prelude::*;

use super::Preferences;
use crate::{project::use_project_here, ui::Glyph};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    Inbox,
    Search,
    Live,
    Conversations,
    Templates,
    Runs,
    Compare,
    Roles,
    Settings,
}

impl Section {
    /// All sections.
    pub const EVERY: [Self; 9] = [
        Self::Inbox,
        Self::Search,
        Self::Live,
        Self::Conversations,
        Self::Templates,
        Self::Runs,
        Self::Compare,
        Self::Roles,
        Self::Settings,
    ];

    /// The sections of the sidebar, in its order.
    pub const ALL: [Self; 7] = [
        Self::Inbox,
        Self::Conversations,
        Self::Templates,
        Self::Runs,
        Self::Compare,
        Self::Roles,
        Self::Settings,
    ];

    /// The sections that do not fit in a phone's bottom bar, in the order of its menu.
    pub(super) const IN_PHONE_MENU: [Self; 4] = [Self::Search, Self::Live, Self::Compare, Self::Settings];

    pub fn label(self) -> &'static str {
        match self {
            Self::Inbox => "Inbox",
            Self::Search => "Search",
            Self::Live => "Live runs",
            Self::Conversations => "Conversations",
            Self::Templates => "Templates",
            Self::Runs => "Runs",
            Self::Compare => "Compare",
            Self::Roles => "Roles",
            Self::Settings => "Settings",
        }
    }

    /// The URL segment after the project's key, or of the whole installation.
    pub(super) fn segment(self) -> &'static str {
        match self {
            Self::Inbox => "inbox",
            Self::Search => "search",
            Self::Live => "dashboard",
            Self::Conversations => "conversations",
            Self::Templates => "templates",
            Self::Runs => "runs",
            Self::Compare => "compare",
            Self::Roles => "roles",
            Self::Settings => "settings",
        }
    }

    pub fn glyph(self) -> Glyph {
        match self {
            Self::Inbox => Glyph::Inbox,
            Self::Search => Glyph::Search,
            Self::Live => Glyph::Running,
            Self::Conversations => Glyph::Conversations,
            Self::Templates => Glyph::Templates,
            Self::Runs => Glyph::Runs,
            Self::Compare => Glyph::Compare,
            Self::Roles => Glyph::Roles,
            Self::Settings => Glyph::Settings,
        }
    }

    /// The letter of the shortcut, after `g`.
    pub fn letter(self) -> char {
        match self {
            Self::Inbox => 'i',
            Self::Search => 'f',
            Self::Live => 'l',
            Self::Conversations => 'c',
            Self::Templates => 't',
            Self::Runs => 'r',
            Self::Compare => 'm',
            Self::Roles => 'o',
            Self::Settings => 's',
        }
    }

    pub fn href(self, project: &ProjectKey) -> String {
        match self {
            // Providers and accounts belong to the installation, members to a project.
            Self::Settings => format!("/settings/models?project={project}"),
            _ => format!("/p/{}/{}", project.as_str(), self.segment()),
        }
    }

    /// The section of a path such as `/p/demo/runs/42` or `/settings/models`.
    pub fn of_path(path: &str) -> Option<Self> {
        let mut parts = path.split('/').skip(1);
        let segment = match parts.next()? {
            "p" => parts.nth(1)?,
            first => first,
        };
        Self::EVERY.into_iter().find(|section| section.segment() == segment)
    }
}

/// The project that the sidebar links to: the URL's, or the last visited one on a page outside any project.
pub(super) fn use_section_project() -> Memo<Option<ProjectKey>> {
    let here = use_project_here();
    let preferences = expect_context::<Preferences>();
    Memo::new(move |_| here.get().or_else(|| preferences.last_project()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_name_their_section() {
        assert_eq!(Section::of_path("/p/demo/runs/42"), Some(Section::Runs));
        assert_eq!(Section::of_path("/settings/models"), Some(Section::Settings));
        assert_eq!(Section::of_path("/p/demo"), None);
    }
}
