//! The names of the context that a step reads, by its syntax, so that only their values are loaded for its evaluation.

use super::{Reads, reads, reads_bare};
use crate::{
    plan::{Body, Plan},
    template::{Step, Template, Uses},
};
use serde_json::Value;

impl Reads {
    /// All names that the fields of a step read. A text that does not parse adds none: its evaluation fails.
    pub fn of_step(step: &Step, plan: &Plan) -> Self {
        let mut found = Self::default();
        for bare in [&step.condition, &step.for_each].into_iter().flatten() {
            found.add(reads_bare(bare));
        }
        for text in [&step.prompt, &step.description].into_iter().flatten() {
            found.add(reads(text));
        }
        step.input_mapping.values().for_each(|value| found.add_value(value));
        step.with.iter().flat_map(|with| with.values()).for_each(|value| found.add_value(value));
        // An aggregate without its own `candidates` reads the outputs of the steps it depends on.
        if step.uses == Some(Uses::Aggregate) {
            let own = plan.steps.iter().find(|planned| planned.name == step.name);
            debug_assert!(own.is_none_or(|own| own.body == Body::Aggregate), "{}", step.name);
            let upstream = own.into_iter().flat_map(|own| &own.depends_on);
            let names = upstream.filter_map(|&index| plan.steps.get(index as usize));
            found.context_keys.extend(names.map(|planned| planned.name.clone()));
        }
        found
    }

    /// The names that the run's output reads: those of the template's expression, or the outputs of the last steps.
    pub fn of_output(template: &Template, plan: &Plan) -> Self {
        let mut found = Self::default();
        match &template.output {
            Some(output) => found.add(reads(output)),
            None => {
                let sinks = plan.sinks().into_iter().filter_map(|index| plan.steps.get(index as usize));
                found.context_keys.extend(sinks.map(|planned| planned.name.clone()));
            }
        }
        found
    }

    /// Whether `context.conversation` is read.
    pub fn conversation(&self) -> bool {
        self.context_keys.contains("conversation")
    }

    fn add(&mut self, more: Result<Self, super::ExpressionError>) {
        let Ok(more) = more else { return };
        self.context_keys.extend(more.context_keys);
        self.input_fields.extend(more.input_fields);
        self.whole_input |= more.whole_input;
        self.names.extend(more.names);
    }

    fn add_value(&mut self, value: &Value) {
        match value {
            Value::String(text) => self.add(reads(text)),
            Value::Array(items) => items.iter().for_each(|item| self.add_value(item)),
            Value::Object(map) => map.values().for_each(|item| self.add_value(item)),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::{Format, compile, parse};

    #[test]
    fn every_field_counts_and_words_alone_do_not() {
        let source = "
apiVersion: troupe/v1
key: k
name: K
steps:
  - {name: A, prompt: 'A word about the conversation, and context.B as text'}
  - name: B
    condition: context['A'] != ''
    forEach: '{{ context.list }}'
    prompt: '{{ context.input.code }} {{ item }}'
    inputMapping: {deep: [{x: '{{ context.conversation }}'}], plain: 3}
  - {name: C, uses: aggregate}
";
        let template = parse(source, Format::Yaml).unwrap();
        let plan = compile(&template).unwrap_or_default();
        let keys = |step: usize| {
            Reads::of_step(&template.steps[step], &plan).context_keys.into_iter().collect::<Vec<_>>()
        };
        assert!(keys(0).is_empty());
        assert!(!Reads::of_step(&template.steps[0], &plan).conversation());
        assert_eq!(keys(1), ["A", "conversation", "input", "list"]);
        assert!(Reads::of_step(&template.steps[1], &plan).conversation());
    }

    #[test]
    fn an_aggregate_reads_what_it_depends_on_and_an_output_the_last_steps() {
        let source = "
apiVersion: troupe/v1
key: k
name: K
steps:
  - {name: A, prompt: a, dependsOn: []}
  - {name: B, prompt: b, dependsOn: []}
  - {name: C, uses: aggregate, dependsOn: [A, B]}
  - {name: D, prompt: d, dependsOn: [A]}
";
        let template = parse(source, Format::Yaml).unwrap();
        let plan = compile(&template).unwrap();
        let keys = |reads: Reads| reads.context_keys.into_iter().collect::<Vec<_>>();
        assert_eq!(keys(Reads::of_step(&template.steps[2], &plan)), ["A", "B"]);
        assert_eq!(keys(Reads::of_output(&template, &plan)), ["C", "D"]);
    }
}
