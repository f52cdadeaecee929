//! What a run executes: a template version, compiled, and shared by all runs of it.

use super::output::OutputForm;
use crate::{Engine, Error, Result, store::versions};
use domain::{
    expression::Evaluator,
    id::TemplateId,
    plan::{Body, Plan},
    schema::{Schema, SchemaError},
    template::{self, Format, Template},
};
use std::sync::Arc;
use tokio::runtime::{Handle, RuntimeFlavor};

/// The key of the built-in template that free text runs as.
pub(crate) const ASK: &str = "ask";

/// Expressions that can read more than this, in bytes, are evaluated aside.
const LARGE: usize = 256 * 1024;

pub(super) struct CompiledTemplate {
    pub template: Template,
    pub plan: Arc<Plan>,
    /// Per step: the form of its answers.
    pub outputs: Vec<OutputForm>,
    /// Knows the template's expressions.
    pub evaluator: Evaluator,
    /// What the input has to be, where the template says so; or why nothing can be it.
    pub input: Option<Result<Schema, SchemaError>>,
    /// Free text: its prompt carries the conversation.
    pub is_ask: bool,
    /// Some step of it writes files, and is shown those that are there.
    pub writes_files: bool,
    /// Some step of it is a run of its own.
    pub has_children: bool,
    /// Some expression of it may read `context.conversation`.
    pub reads_conversation: bool,
    /// Some expression of it may loop: then even a small input can keep it busy up to its limit, about a second.
    loops: bool,
}

impl CompiledTemplate {
    pub fn new(template: Template) -> Result<Self> {
        let plan = template::compile(&template).map_err(Error::Invalid)?;
        let outputs = OutputForm::all(&template)?;
        let is_ask = template.key.as_ref() == ASK;
        // A text search may load the conversation where no expression reads it, never the other way round.
        let text = template.to_json();
        let reads_conversation = is_ask || text.contains("conversation");
        let loops = text.contains("{%") || text.contains("range");
        let writes_files = outputs.iter().any(OutputForm::writes_files);
        let has_children = plan.steps.iter().any(|step| step.body == Body::Template);
        let (plan, evaluator) = (Arc::new(plan), Evaluator::of(&template));
        let input = template.input.as_ref().map(Schema::new);
        Ok(Self {
            template,
            plan,
            outputs,
            evaluator,
            input,
            is_ask,
            writes_files,
            has_children,
            reads_conversation,
            loops,
        })
    }

    /// Evaluates. What may take long is kept from holding up other runs; anything else is done at once, which is cheaper.
    /// `bytes`: about how much there is to read.
    pub fn evaluate<T>(&self, bytes: usize, evaluate: impl FnOnce() -> T) -> T {
        let slow = self.loops || bytes > LARGE;
        // On a runtime of one thread there is nowhere to go.
        if slow && Handle::current().runtime_flavor() == RuntimeFlavor::MultiThread {
            tokio::task::block_in_place(evaluate)
        } else {
            evaluate()
        }
    }

    pub fn ask() -> Result<Self> {
        let template = template::parse(template::shipped::ASK, Format::Yaml)
            .map_err(|problems| Error::internal(Error::Invalid(problems)))?;
        Self::new(template)
    }
}

impl Engine {
    /// A stored version, or the built-in template when `id` is none. Versions are immutable, so they are cached.
    pub(super) async fn compiled(
        &self,
        id: Option<TemplateId>,
        version: u32,
    ) -> Result<Arc<CompiledTemplate>> {
        let Some(id) = id else { return Ok(self.0.runs.ask.clone()) };
        if let Some(compiled) = self.0.runs.compiled_templates.get(&(id, version)) {
            return Ok(compiled);
        }
        let template = versions::template(self.0.store.read(), id, version).await?;
        let template =
            template.ok_or_else(|| Error::internal(format!("template {id} has no version {version}")))?;
        // A large template takes a while to compile.
        let compiled = tokio::task::spawn_blocking(move || CompiledTemplate::new(template));
        let compiled = Arc::new(compiled.await.map_err(Error::internal)??);
        self.0.runs.compiled_templates.insert((id, version), compiled.clone());
        Ok(compiled)
    }
}
