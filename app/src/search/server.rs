//! What search and the palette ask of the server.

use crate::{fault::Fault, ui::Glyph};
use domain::key::ProjectKey;
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

/// A line of the palette.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    pub kind: EntryKind,
    pub label: String,
    /// What tells it from others of the same name.
    pub detail: String,
    /// Where it leads; an action that leads nowhere begins with [`DO`].
    pub href: String,
}

/// What begins the `href` of an action of the palette itself.
pub const DO: &str = "do:";

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum EntryKind {
    Page,
    Action,
    Execute,
    Template,
    Role,
    Run,
    Conversation,
    Message,
}

impl EntryKind {
    pub fn label(self) -> &'static str {
        match self {
            Self::Page => "Page",
            Self::Action => "Action",
            Self::Execute => "Execute",
            Self::Template => "Template",
            Self::Role => "Role",
            Self::Run => "Run",
            Self::Conversation => "Conversation",
            Self::Message => "Message",
        }
    }

    pub fn glyph(self) -> Glyph {
        match self {
            Self::Page => Glyph::ChevronRight,
            Self::Action => Glyph::Check,
            Self::Execute => Glyph::Play,
            Self::Template => Glyph::Templates,
            Self::Role => Glyph::Roles,
            Self::Run => Glyph::Runs,
            Self::Conversation | Self::Message => Glyph::Conversations,
        }
    }
}

/// Everything that the palette offers before anything is searched for. Outside of a project: what needs none.
#[server]
pub async fn palette_entries(project: Option<ProjectKey>) -> Result<Vec<Entry>, Fault> {
    let (engine, user) = crate::session::caller().await?;
    let Some(project) = project else { return Ok(super::entries::of_nowhere()) };
    let may_edit = engine.project(&user, &project).await?.permission >= domain::access::Permission::Editor;
    let templates = engine.templates(&user, &project, None).await?.items;
    let roles = engine.roles(&user, &project, None).await?.items;
    Ok(super::entries::of_project(&project, may_edit, templates, roles))
}

/// What a search finds, as lines of the palette.
#[server]
pub async fn find_entries(project: ProjectKey, query: String) -> Result<Vec<Entry>, Fault> {
    let (engine, user) = crate::session::caller().await?;
    let found = engine.search(&user, &project, &query, None).await?.items;
    Ok(found.into_iter().map(|found| super::entries::found(&project, found)).collect())
}

/// What a search finds, as HTML, with the way to what else it finds.
#[server]
pub async fn draw_search(
    project: ProjectKey,
    query: String,
    cursor: Option<String>,
) -> Result<String, Fault> {
    let (engine, user) = crate::session::caller().await?;
    let page = engine.search(&user, &project, &query, cursor.as_deref()).await?;
    Ok(super::drawn::found_html(&project, &query, page))
}
