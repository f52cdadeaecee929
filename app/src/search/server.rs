//! Server functions of search and the palette.

use crate::{fault::Fault, ui::Glyph};
use domain::key::ProjectKey;
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

/// An entry of the palette.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    pub kind: EntryKind,
    pub label: String,
    /// Distinguishes the entry from others with the same label.
    pub detail: String,
    /// The target URL. An action of the palette itself starts with [`DO`].
    pub href: String,
}

/// Prefix of the `href` of the palette's own actions.
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

/// All entries that the palette offers without a search. Outside a project, those that need none.
#[server]
pub async fn palette_entries(project: Option<ProjectKey>) -> Result<Vec<Entry>, Fault> {
    let (engine, user) = crate::session::caller().await?;
    let Some(project) = project else { return Ok(super::entries::of_nowhere()) };
    let may_edit = engine.project(&user, &project).await?.permission >= domain::access::Permission::Editor;
    let templates = engine.templates(&user, &project, None).await?.items;
    let roles = engine.roles(&user, &project, None).await?.items;
    Ok(super::entries::of_project(&project, may_edit, templates, roles))
}

/// Search results as entries of the palette.
#[server]
pub async fn find_entries(project: ProjectKey, query: String) -> Result<Vec<Entry>, Fault> {
    let (engine, user) = crate::session::caller().await?;
    let found = engine.search(&user, &project, &query, None).await?.items;
    Ok(found.into_iter().map(|found| super::entries::found(&project, found)).collect())
}

/// Search results as HTML, with a link to the next page.
#[server]
pub async fn draw_search(
    project: ProjectKey,
    query: String,
    cursor: Option<String>,
) -> Result<String, Fault> {
    let (engine, user) = crate::session::caller().await?;
    let page = engine.search(&user, &project, &query, cursor.as_deref()).await?;
    Ok(crate::session::draw(&engine, &user, move || super::drawn::found_html(&project, &query, page)).await?)
}
