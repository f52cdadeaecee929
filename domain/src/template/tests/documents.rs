use serde_json::{Value, json};

use super::super::{Format, Step, Template, Uses, check, compile, parse, shipped, unsupported};
use super::{shown, with_steps, yaml};
use crate::schema::{Schema, form_fields};

#[test]
fn shipped_documents_are_sound() {
    let published = Schema::new(&serde_json::from_str(shipped::DOCUMENT_SCHEMA).unwrap()).unwrap();
    for source in [shipped::CODE_REVIEW, shipped::ASK] {
        let checked = yaml(source);
        assert_eq!(checked.problems, vec![]);
        let (template, plan) = (checked.template.unwrap(), checked.plan.unwrap());
        assert_eq!(compile(&template).unwrap(), plan);
        assert_eq!(unsupported(&template), None);
        assert_eq!(yaml(&template.to_yaml()).template.as_ref(), Some(&template));
        assert_eq!(parse(&template.to_json(), Format::Json).as_ref(), Ok(&template));
        assert_eq!(published.problems(&serde_json::to_value(&template).unwrap(), ""), vec![]);
    }
}

#[test]
fn code_review_runs_one_step_after_the_other() {
    let checked = yaml(shipped::CODE_REVIEW);
    let plan = checked.plan.unwrap();
    let steps: Vec<_> =
        plan.steps.iter().map(|s| (s.name.as_str(), s.depends_on.as_slice(), s.wave)).collect();
    assert_eq!(
        steps,
        [
            ("Analyze Code", &[][..], 0),
            ("Generate Report", &[0][..], 1),
            ("Suggest Improvements", &[1][..], 2)
        ]
    );
    let fields = form_fields(&checked.template.unwrap().input.unwrap());
    let names: Vec<_> = fields.iter().map(|f| (f.name.as_str(), f.required)).collect();
    assert_eq!(names, [("code", true), ("language", false)]);
}

#[test]
fn yaml_is_written_for_people() {
    let template = yaml(shipped::CODE_REVIEW).template.unwrap();
    insta::assert_snapshot!(template.to_yaml());
}

/// Every field, so that the table of fields, the types and the published schema stay in step.
const EVERYTHING: &str = r#"
apiVersion: troupe/v1
key: all
name: Everything
description: All fields.
input: {type: object, properties: {list: {type: array}}, additionalProperties: false}
output: "{{ context['Each'] }}"
steps:
  - name: First
    description: Nothing but a prompt.
    prompt: "Say {{ context.input.list | length }} words"
    order: 1
    stepType: sequential
    dependsOn: []
    outputMapping: {verdict: "{{ output }}", fixed: [1, true]}
  - name: Each
    prompt: "{{ item }} of {{ all }}: {{ index }} {{ context.verdict }}"
    dependsOn: [First]
    parallelGroup: g
    stepType: conditional
    condition: context['First'] != 'no'
    forEach: "{{ context.input.list }}"
    maxParallel: 4
    inputMapping: {all: "{{ context.input.list }}", n: 3}
    outputSchema: {type: object, properties: {score: {type: number}}}
    tools: [search, files/read]
    maxRetries: 3
    timeout: 60000
    onFailure: continue
    idempotent: true
  - name: Check
    uses: component:checker
    with: {strict: true, text: "{{ context['Each'] }}"}
    dependsOn: [Each]
    stepType: parallel
"#;

#[test]
fn every_field_is_read_written_and_published() {
    let checked = yaml(EVERYTHING);
    assert_eq!(shown(&checked), "");
    let template = checked.template.unwrap();
    assert_eq!(parse(&template.to_yaml(), Format::Yaml).as_ref(), Ok(&template));
    assert_eq!(parse(&template.to_json(), Format::Json).as_ref(), Ok(&template));
    let value = serde_json::to_value(&template).unwrap();
    assert_eq!(serde_json::from_value::<Template>(value.clone()).unwrap(), template);
    insta::assert_json_snapshot!(checked.plan.unwrap());

    let schema: Value = serde_json::from_str(shipped::DOCUMENT_SCHEMA).unwrap();
    let published = Schema::new(&schema).unwrap();
    assert_eq!(published.problems(&value, ""), vec![]);
    // The schema has exactly the fields of the document.
    for (pointer, words) in [("/properties", TEMPLATE_WORDS), ("/$defs/step/properties", STEP_WORDS)] {
        let mut known: Vec<_> =
            schema.pointer(pointer).unwrap().as_object().unwrap().keys().cloned().collect();
        let mut words: Vec<_> = words.split(' ').map(str::to_owned).collect();
        known.sort();
        words.sort();
        assert_eq!(known, words);
    }
}

const TEMPLATE_WORDS: &str = "apiVersion key name description input output steps";
const STEP_WORDS: &str = "name description prompt order stepType dependsOn parallelGroup condition forEach maxParallel \
                          inputMapping outputMapping outputSchema uses with tools maxRetries timeout onFailure idempotent";

#[test]
fn the_published_schema_refuses_what_reading_refuses() {
    let published = Schema::new(&serde_json::from_str(shipped::DOCUMENT_SCHEMA).unwrap()).unwrap();
    let good = json!({"apiVersion": "troupe/v1", "key": "k", "name": "N", "steps": [{"name": "A"}]});
    let change = |pointer: &str, value: Value| {
        let mut document = good.clone();
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        document.pointer_mut(parent).unwrap()[key] = value;
        document
    };
    let bad = [
        change("/apiVersion", json!("troupe/v2")),
        change("/key", json!("Not A Key")),
        change("/name", json!("")),
        change("/name", json!("x".repeat(201))),
        change("/steps", json!([])),
        change("/extra", json!(1)),
        change("/steps/0/name", json!(" A")),
        change("/steps/0/role", json!("x")),
        change("/steps/0/maxRetries", json!(101)),
        change("/steps/0/timeout", json!(0)),
        change("/steps/0/timeout", json!(2_592_000_001u64)),
        change("/steps/0/maxParallel", json!(0)),
        change("/steps/0/uses", json!("robot")),
        change("/steps/0/onFailure", json!("ignore")),
        change("/steps/0/stepType", json!("loop")),
        change("/steps/0/condition", json!(" ")),
        change("/steps/0/inputMapping", json!([])),
        change("/steps/0/dependsOn", json!("A")),
    ];
    assert_eq!(published.problems(&good, ""), vec![]);
    assert!(parse(&good.to_string(), Format::Json).is_ok());
    for document in bad {
        assert!(!published.problems(&document, "").is_empty(), "{document}");
        assert!(parse(&document.to_string(), Format::Json).is_err(), "{document}");
    }
}

#[test]
fn wrong_fields_are_all_reported_at_their_line() {
    let source = r#"apiVersion: troupe/v2
key: My Template
name: 12
descripton: typo
roleAssignments: {A: x}
input: {code: {type: string}}
steps:
  - name: A
    promt: typo
    role: reviewer
    roleId: 7
    dependsOn: B
    maxRetries: 101
    timeout: 0
    maxParallel: 1.5
    order: first
    stepType: loop
    onFailure: ignore
    idempotent: "yes"
    uses: robot
    tools: [good, "bad tool", 3]
    condition: {{ x }}
    condition2: x
    inputMapping: [a]
    outputMapping: {"": x}
  - B
  - prompt: no name
  - name: "  "
"#;
    // The unquoted braces are a separate YAML error.
    let mut all = vec![shown(&yaml(source))];
    all.push(shown(&yaml(&source.replace("{{ x }}", "{x: 1}"))));
    insta::assert_snapshot!(all.join("\n\n"));
}

#[test]
fn what_is_no_document_says_so() {
    let documents = [
        "",
        "# only a comment",
        "just text",
        "- a\n- b",
        "a: 1\na: 2",
        "a: &x 1\nb: *x",
        "a: !ruby/object 1",
        "a: !!int x",
        "a: [1, 2",
        "a:\n\t- b",
        "a: b: c",
        "? [a]\n: 1",
        "a: 1\n---\nb: 2",
        "a: .inf",
        "steps: 3\nname: x",
        "apiVersion: troupe/v1\nkey: k\nname: n\nsteps: []",
        "\u{0}",
    ];
    let yaml_problems: Vec<_> = documents.iter().map(|d| format!("{d:?}\n{}", shown(&yaml(d)))).collect();
    let json = [
        "",
        "{",
        "[1,]",
        "{\"a\": 1, \"a\": 2}",
        "{\"a\":\n  \"\\ud800\"}",
        "{\"a\": 1e999}",
        "nul",
        "{} {}",
    ];
    let json_problems: Vec<_> =
        json.iter().map(|d| format!("{d:?}\n{}", shown(&check(d, Format::Json)))).collect();
    insta::assert_snapshot!(format!("{}\n\nJSON\n{}", yaml_problems.join("\n"), json_problems.join("\n")));
}

#[test]
fn json_problems_have_lines_too() {
    let source = r#"{
  "apiVersion": "troupe/v1", "key": "k", "name": "n",
  "steps": [
    {"name": "A", "prompt": "{{ context['B'] }}"},
    {"name": "B",
     "timeout": "soon"}
  ]
}"#;
    let checked = check(source, Format::Json);
    assert_eq!(shown(&checked).lines().count(), 2);
    insta::assert_snapshot!(shown(&checked));
}

#[test]
fn expressions_are_checked_against_the_flow() {
    let source = r#"apiVersion: troupe/v1
key: demo
name: Demo
input:
  type: object
  additionalProperties: false
  properties: {code: {type: string}, language: {type: string}}
output: "{{ context['Last'] }}"
steps:
  - name: First
    dependsOn: []
    prompt: |

      Look at {{ context.input.kode }}
      and {{ context['Second'] }}
      and {{ context['Frist'] }} {{ 1 + }}
    outputMapping:
      score: "{{ output.score }}"
      input: "{{ output }}"
      Second: "{{ output }}"
      other: "{{ context.input.code }}"
  - name: Second
    dependsOn: [First]
    condition: "{{ context.score > 7 }} or so"
    inputMapping:
      self: "{{ context['Second'] }}"
      context: x
      late: ["{{ context['Third'].a }}", "fine {{ context.score }}"]
      free: "{{ code }}"
      computed: "{{ context[context.input.code] }}"
    prompt: "{{ lat }} {{ item }} {{ input.code }} {{ free }}"
  - name: Third
    dependsOn: []
    stepType: conditional
    forEach: "context['First']"
    prompt: "{{ item }} {{ context.score }} {{ context.input.language }}"
    outputSchema: {type: nothing}
  - name: Second
    dependsOn: [Thrid]
  - name: conversation
"#;
    let mut all = vec![shown(&yaml(source))];
    // With these fixed the graph is valid, so the checks of "upstream" and of the first prompt apply.
    let sound = source
        .replace("name: Second\n    dependsOn: [Thrid]", "name: Fourth\n    dependsOn: [Third]")
        .replace(" {{ 1 + }}", "")
        .replace("      Second: \"{{ output }}\"\n", "");
    all.push(shown(&yaml(&sound)));
    insta::assert_snapshot!(all.join("\n\n"));
}

#[test]
fn what_cannot_be_executed_yet_is_named() {
    let plain = "condition: 'true'\n    inputMapping: {a: b}\n    outputMapping: {k: '{{ output }}'}\n    maxRetries: 2\n    \
                 timeout: 5\n    onFailure: continue\n    dependsOn: []";
    for (field, expected) in [
        (plain, None),
        ("forEach: '[1]'", None),
        ("outputSchema: {}", None),
        ("tools: [t]", Some("not supported yet: step 'X' uses tools")),
        ("uses: approval", None),
        ("uses: aggregate", None),
        ("uses: template:other", None),
        ("uses: agent", Some("not supported yet: step 'X' uses agent")),
        ("uses: tool:web", Some("not supported yet: step 'X' uses tool:web")),
    ] {
        let checked = yaml(&with_steps(&format!("  - name: A\n  - name: X\n    {field}\n")));
        assert_eq!(shown(&checked), "");
        assert_eq!(unsupported(&checked.template.unwrap()).as_deref(), expected);
    }
}

#[test]
fn bodies_are_words_or_names() {
    for (text, uses) in [
        ("agent", Some(Uses::Agent)),
        ("component: summary", Some(Uses::Component("summary".parse().unwrap()))),
        ("tool:server/do.it", Some(Uses::Tool("server/do.it".into()))),
        ("template:code-review", Some(Uses::Template("code-review".parse().unwrap()))),
        ("agent:x", None),
        ("tool:", None),
        ("component", None),
        ("template:Bad Key", None),
        ("prompt", None),
        ("", None),
    ] {
        assert_eq!(Uses::parse(text).ok(), uses, "{text}");
        if let Some(uses) = uses {
            assert_eq!(Uses::parse(&uses.to_string()).unwrap(), uses);
        }
    }
}

#[test]
fn mapped_values_keep_the_order_of_the_document() {
    let checked = yaml(&with_steps("  - name: A\n    inputMapping: {z: 1, a: 2, m: '{{ 3 }}'}\n"));
    let Step { input_mapping, .. } = &checked.template.unwrap().steps[0];
    assert_eq!(input_mapping.keys().collect::<Vec<_>>(), ["z", "a", "m"]);
}
