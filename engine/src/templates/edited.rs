//! The document in an editor: checked while it is typed, and written by the form. Nothing is stored.

use super::{Format, sized};
use crate::{Engine, Result, User};
use domain::{
    access::Permission,
    key::ProjectKey,
    template::{self, Checked, Revised, Template},
};

/// A document's text, checked.
pub struct CheckedText {
    pub checked: Checked,
    /// The first line of each step, from 1.
    pub lines: Vec<u32>,
}

impl Engine {
    /// The problems of a document in an editor, likely slips, and hints about the project's templates that its steps
    /// call; also the document if it can be read.
    ///
    /// # Errors
    /// `TooLarge` if the text is larger than a template may be.
    pub async fn check_template(
        &self,
        user: &User,
        project: &ProjectKey,
        source: String,
        format: Format,
    ) -> Result<CheckedText> {
        let project = self.authorise(user, project, Permission::Viewer).await?;
        sized(&source)?;
        let shelf = self.0.runs.shelf.clone();
        let check = move || {
            let checked = template::check_with(&source, format, &shelf);
            CheckedText { checked, lines: template::step_lines(&source) }
        };
        let mut text = self.compute(user, check).await?;
        if let Some(template) = &text.checked.template {
            text.checked.hints.extend(self.child_hints(project, template, &text.lines).await?);
            text.checked.hints.sort_by_key(|hint| hint.line);
        }
        Ok(text)
    }

    /// Writes a document that the form changed into its previous YAML text, and checks the result.
    ///
    /// # Errors
    /// `TooLarge` if a text is larger than a template may be.
    pub async fn revise_template(
        &self,
        user: &User,
        project: &ProjectKey,
        document: Template,
        before: String,
    ) -> Result<(Revised, CheckedText)> {
        self.permits(user, project, Permission::Viewer).await?;
        sized(&before)?;
        let revised = self.compute(user, move || template::revise(&before, &document)).await?;
        let text = self.check_template(user, project, revised.source.clone(), Format::Yaml).await?;
        Ok((revised, text))
    }
}
