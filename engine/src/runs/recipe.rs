//! What a run executes: a template version, compiled, and shared by all runs of it.

use crate::{Engine, Error, Result, store::versions};
use domain::{
    expression::Evaluator,
    id::TemplateId,
    plan::Plan,
    template::{self, Format, Template},
};
use std::sync::Arc;

/// The key of the built-in template that free text runs as.
pub(crate) const ASK: &str = "ask";

pub(super) struct Recipe {
    pub template: Template,
    pub plan: Arc<Plan>,
    /// Holds the compiled expressions.
    pub evaluator: Evaluator,
    /// Free text: its prompt carries the conversation.
    pub is_ask: bool,
    /// Some expression of it may read `context.conversation`.
    pub reads_conversation: bool,
}

impl Recipe {
    pub fn new(template: Template) -> Result<Self> {
        let plan = template::compile(&template).map_err(Error::Invalid)?;
        let is_ask = template.key.as_ref() == ASK;
        // A text search may load the conversation where no expression reads it, never the other way round.
        let reads_conversation = is_ask || template.to_json().contains("conversation");
        Ok(Self { template, plan: Arc::new(plan), evaluator: Evaluator::new(), is_ask, reads_conversation })
    }

    pub fn ask() -> Result<Self> {
        let template = template::parse(template::shipped::ASK, Format::Yaml)
            .map_err(|problems| Error::internal(Error::Invalid(problems)))?;
        Self::new(template)
    }
}

impl Engine {
    /// A stored version, or the built-in template when `id` is none. Versions are immutable, so they are cached.
    pub(super) async fn recipe(&self, id: Option<TemplateId>, version: u32) -> Result<Arc<Recipe>> {
        let Some(id) = id else { return Ok(self.0.runs.ask.clone()) };
        if let Some(recipe) = self.0.runs.recipes.get(&(id, version)) {
            return Ok(recipe);
        }
        let template = versions::template(self.0.store.read(), id, version).await?;
        let template =
            template.ok_or_else(|| Error::internal(format!("template {id} has no version {version}")))?;
        let recipe = Arc::new(Recipe::new(template)?);
        self.0.runs.recipes.insert((id, version), recipe.clone());
        Ok(recipe)
    }
}
