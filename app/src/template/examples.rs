//! The starting points of a new template.

use domain::template::shipped;

pub struct Example {
    /// The name in the URL.
    pub word: &'static str,
    pub name: &'static str,
    pub text: &'static str,
    source: &'static str,
}

pub const ALL: [Example; 3] = [
    Example { word: "blank", name: "Blank", text: "One step, ready to be filled in.", source: BLANK },
    Example {
        word: "code-review",
        name: "Code review",
        text: "Three steps in a row: analyse, report, suggest. Each reads what came before.",
        source: shipped::CODE_REVIEW,
    },
    Example {
        word: "two-views",
        name: "Two views, one answer",
        text: "Two steps at once argue for and against; a third weighs them.",
        source: TWO_VIEWS,
    },
];

/// The document of a starting point, or a blank one if `word` is unknown. The key of a shipped template is replaced,
/// since it is already in use.
pub fn source(word: &str) -> String {
    let example = ALL.iter().find(|example| example.word == word).unwrap_or(&ALL[0]);
    example.source.replacen(
        "key: code-review\nname: Code Review\n",
        "key: my-code-review\nname: My Code Review\n",
        1,
    )
}

const BLANK: &str = "\
apiVersion: troupe/v1
key: new-template
name: New template
input:
  type: object
  required: [text]
  properties:
    text:
      type: string
      title: Text
      format: textarea
steps:
  - name: First step
    prompt: |
      Say in one sentence what this is about:

      {{ context.input.text }}
";

const TWO_VIEWS: &str = "\
apiVersion: troupe/v1
key: two-views
name: Two views, one answer
description: Argues for and against at the same time, then weighs both.
input:
  type: object
  required: [question]
  properties:
    question:
      type: string
      title: Question
      format: textarea
steps:
  - name: For
    parallelGroup: views
    prompt: |
      Give the three best reasons to answer yes:

      {{ context.input.question }}

  - name: Against
    parallelGroup: views
    prompt: |
      Give the three best reasons to answer no:

      {{ context.input.question }}

  - name: Weigh
    prompt: |
      The question: {{ context.input.question }}

      Reasons to answer yes:
      {{ context['For'] }}

      Reasons to answer no:
      {{ context['Against'] }}

      Weigh them, and answer the question in three sentences.
";

#[cfg(all(test, feature = "ssr"))]
mod tests {
    use super::*;
    use domain::template::{Format, check};

    #[test]
    fn every_example_is_sound() {
        for example in &ALL {
            let checked = check(&source(example.word), Format::Yaml);
            assert_eq!((checked.problems, checked.hints), (vec![], vec![]), "{}", example.name);
        }
    }
}
