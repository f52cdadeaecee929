//! A compiled template version, shared by all runs that execute it.

use super::{output::OutputForm, values::StepReads};
use crate::{
    Engine, Error, Result,
    store::{runs::RunRow, versions},
};
use domain::{
    expression::{Evaluator, Reads},
    id::TemplateId,
    plan::{Body, Plan},
    problem::Problem,
    schema::{Schema, SchemaError, Shelf},
    template::{self, Format, Template},
};
use std::{collections::HashMap, sync::Arc};
use tokio::runtime::{Handle, RuntimeFlavor};

/// The key of the built-in template that executes free text.
pub(crate) const ASK: &str = "ask";

/// Expressions that may read more than this, in bytes, are evaluated on a thread for blocking work.
const LARGE: usize = 256 * 1024;

/// Approximate memory of a compiled template: bytes per byte of its document, and bytes per step.
const BYTES_PER_BYTE: usize = 6;
const BYTES_PER_STEP: usize = 2 * 1024;

pub(super) struct CompiledTemplate {
    pub template: Template,
    pub plan: Arc<Plan>,
    /// Per step: the form of its answers.
    pub outputs: Vec<OutputForm>,
    /// Holds the template's compiled expressions.
    pub evaluator: Evaluator,
    /// The schema of the input, if the template has one; or the reason why it cannot be satisfied.
    pub input: Option<Result<Schema, SchemaError>>,
    /// The built-in template for free text: its prompt includes the conversation.
    pub is_ask: bool,
    /// Whether some step launches a child run.
    pub has_children: bool,
    /// What each step's expressions read, and what the output expression reads.
    pub reads: Vec<StepReads>,
    pub output_reads: StepReads,
    /// Whether some expression may loop: then even a small input can keep it busy up to its limit, about a second.
    loops: bool,
    /// Approximate size in memory, in bytes. Compiled patterns are kept on the shelf and not counted here.
    pub bytes: usize,
}

impl CompiledTemplate {
    pub fn new(template: Template, shelf: &Arc<Shelf>) -> Result<Self> {
        let plan = template::compile_with(&template, shelf).map_err(Error::Invalid)?;
        let (outputs, input) = (
            OutputForm::all(&template, shelf)?,
            template.input.as_ref().map(|schema| Schema::shelved(schema, shelf)),
        );
        Ok(Self::of(template, Arc::new(plan), outputs, input))
    }

    /// Compiles a template that was stored under other rules. Today's rules may be stricter, but runs that have begun,
    /// and their child runs, must still reach their end. `plan`: the plan with which the run began.
    pub fn stored(template: Template, plan: Arc<Plan>, shelf: &Arc<Shelf>) -> Result<Self> {
        let outputs = OutputForm::all_stored(&template, shelf)?;
        let input =
            template.input.as_ref().map(|schema| Schema::shelved(schema, shelf)).filter(Result::is_ok);
        Ok(Self::of(template, plan, outputs, input))
    }

    fn of(
        template: Template,
        plan: Arc<Plan>,
        outputs: Vec<OutputForm>,
        input: Option<Result<Schema, SchemaError>>,
    ) -> Self {
        let is_ask = template.key.as_ref() == ASK;
        let text = template.to_json();
        let loops = text.contains("{%") || text.contains("range");
        let has_children = plan.steps.iter().any(|step| step.body == Body::Template);
        let evaluator = Evaluator::of(&template);
        let names: Names = (0..).zip(&plan.steps).map(|(index, step)| (step.name.as_str(), index)).collect();
        let reads =
            template.steps.iter().map(|step| step_reads(&template, &names, Reads::of_step(step, &plan)));
        let reads = reads.collect();
        let output_reads = step_reads(&template, &names, Reads::of_output(&template, &plan));
        let bytes = text.len() * BYTES_PER_BYTE + plan.steps.len() * BYTES_PER_STEP;
        Self {
            template,
            plan,
            outputs,
            evaluator,
            input,
            is_ask,
            has_children,
            reads,
            output_reads,
            loops,
            bytes,
        }
    }

    /// Evaluates an expression. Slow evaluations must not block other runs; all others run inline, which is cheaper.
    /// `bytes`: approximately how much the expression may read.
    pub fn evaluate<T>(&self, bytes: usize, evaluate: impl FnOnce() -> T) -> T {
        let slow = self.loops || bytes > LARGE;
        // A single-threaded runtime has no other thread.
        if slow && Handle::current().runtime_flavor() == RuntimeFlavor::MultiThread {
            tokio::task::block_in_place(evaluate)
        } else {
            evaluate()
        }
    }

    pub fn ask(shelf: &Arc<Shelf>) -> Result<Self> {
        let template = template::parse(template::shipped::ASK, Format::Yaml)
            .map_err(|problems| Error::internal(Error::Invalid(problems)))?;
        Self::new(template, shelf)
    }
}

/// Step indexes by name.
type Names<'p> = HashMap<&'p str, u32>;

fn step_reads(template: &Template, names: &Names<'_>, reads: Reads) -> StepReads {
    let mut found = StepReads {
        conversation: reads.conversation(),
        input_fields: reads.input_fields,
        whole_input: reads.whole_input,
        ..StepReads::default()
    };
    let maps = template.steps.iter().any(|step| !step.output_mapping.is_empty());
    for key in reads.context_keys {
        found.outputs.extend(names.get(key.as_str()));
        if maps {
            found.mapped.push(key);
        }
    }
    found
}

impl Engine {
    /// A stored version, or the built-in template if `id` is `None`. Versions are immutable, so they are cached.
    pub(super) async fn compiled(
        &self,
        id: Option<TemplateId>,
        version: u32,
    ) -> Result<Arc<CompiledTemplate>> {
        let Some(id) = id else { return Ok(self.0.runs.ask.clone()) };
        if let Some(compiled) = self.0.runs.compiled_templates.get(&(id, version)) {
            return Ok(compiled);
        }
        let template = self.template_version(id, version).await?;
        // Compiling a large template takes a while, so it runs on a thread for blocking work.
        let shelf = self.0.runs.shelf.clone();
        let compiled = tokio::task::spawn_blocking(move || CompiledTemplate::new(template, &shelf));
        let compiled = Arc::new(compiled.await.map_err(Error::internal)??);
        self.0.runs.compiled_templates.insert((id, version), compiled.clone());
        Ok(compiled)
    }

    /// The template of a run that was launched earlier. If today's compiler refuses a template that an earlier one
    /// accepted, the run keeps the plan with which it began.
    pub(super) async fn compiled_of_run(
        &self,
        row: &RunRow,
        plan: &Arc<Plan>,
    ) -> Result<Arc<CompiledTemplate>> {
        let (id, version) = (row.template_id.map(TemplateId), row.summary()?.template.version);
        let Some(id) = id else { return self.compiled(None, version).await };
        self.compiled_or_stored(id, version, |_| Ok(plan.clone())).await
    }

    /// A version that was pinned when the top run was launched: it was valid then, so it is executed now.
    pub(super) async fn compiled_as_pinned(
        &self,
        id: TemplateId,
        version: u32,
    ) -> Result<Arc<CompiledTemplate>> {
        self.compiled_or_stored(id, version, |template| template::outline(template).map(Arc::new)).await
    }

    /// The version compiled by today's rules; if these refuse it, as it is stored, with the plan that `plan` returns.
    async fn compiled_or_stored(
        &self,
        id: TemplateId,
        version: u32,
        plan: impl FnOnce(&Template) -> Result<Arc<Plan>, Vec<Problem>>,
    ) -> Result<Arc<CompiledTemplate>> {
        let refused = &self.0.runs.refused_templates;
        let known = refused.get(&(id, version));
        let template = match &known {
            Some(known) => known.template.clone(),
            None => match self.compiled(Some(id), version).await {
                Err(Error::Invalid(problems)) => {
                    tracing::warn!(%id, version, ?problems, "the template of an earlier launch is not valid any more");
                    self.template_version(id, version).await?
                }
                compiled => return compiled,
            },
        };
        let plan = plan(&template).map_err(Error::Invalid)?;
        // Runs of one version have the same plan, unless different builds compiled it.
        if let Some(known) = known.filter(|known| known.plan == plan) {
            return Ok(known);
        }
        let shelf = self.0.runs.shelf.clone();
        let compiled = tokio::task::spawn_blocking(move || CompiledTemplate::stored(template, plan, &shelf));
        let compiled = Arc::new(compiled.await.map_err(Error::internal)??);
        refused.insert((id, version), compiled.clone());
        Ok(compiled)
    }

    async fn template_version(&self, id: TemplateId, version: u32) -> Result<Template> {
        let template = versions::template(self.0.store.read(), id, version).await?;
        template.ok_or_else(|| Error::internal(format!("template {id} has no version {version}")))
    }
}
