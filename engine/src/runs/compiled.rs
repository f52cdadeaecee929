//! What a run executes: a template version, compiled, and shared by all runs of it.

use super::{output::OutputForm, values::StepReads};
use crate::{Engine, Error, Result, store::versions};
use domain::{
    expression::{Evaluator, Reads},
    id::TemplateId,
    plan::{Body, Plan},
    schema::{Schema, SchemaError},
    template::{self, Format, Template},
};
use std::{collections::HashMap, sync::Arc};
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
    /// Some step of it is a run of its own.
    pub has_children: bool,
    /// Per step, and of the output: what they read.
    pub reads: Vec<StepReads>,
    pub output_reads: StepReads,
    /// Some expression of it may loop: then even a small input can keep it busy up to its limit, about a second.
    loops: bool,
}

impl CompiledTemplate {
    pub fn new(template: Template) -> Result<Self> {
        let plan = template::compile(&template).map_err(Error::Invalid)?;
        Self::with_plan(template, Arc::new(plan))
    }

    /// What a run goes on with whose plan was made before: today's compiler may be stricter.
    pub fn with_plan(template: Template, plan: Arc<Plan>) -> Result<Self> {
        let outputs = OutputForm::all(&template)?;
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
        let input = template.input.as_ref().map(Schema::new);
        Ok(Self {
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

/// The indexes of the steps, by name.
type Names<'p> = HashMap<&'p str, u32>;

fn step_reads(template: &Template, names: &Names<'_>, reads: Reads) -> StepReads {
    let mut found = StepReads { conversation: reads.conversation(), ..StepReads::default() };
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

    /// As [`compiled`](Self::compiled), by a plan that was made before.
    pub(super) async fn compiled_as_planned(
        &self,
        id: Option<TemplateId>,
        version: u32,
        plan: &Arc<Plan>,
    ) -> Result<Arc<CompiledTemplate>> {
        let Some(id) = id else { return Ok(self.0.runs.ask.clone()) };
        let template = versions::template(self.0.store.read(), id, version).await?;
        let template =
            template.ok_or_else(|| Error::internal(format!("template {id} has no version {version}")))?;
        CompiledTemplate::with_plan(template, plan.clone()).map(Arc::new)
    }
}
