//! Mistakes that do not make a document invalid.

use super::super::{Checked, compile, shipped};
use super::{shown, with_steps, yaml};

fn hints(checked: &Checked) -> Vec<String> {
    checked.hints.iter().map(ToString::to_string).collect()
}

/// A hint is not a problem: the document still has its plan.
fn assert_hints(source: &str, expected: &[&str]) {
    let checked = yaml(source);
    assert_eq!(hints(&checked), expected, "{source}");
    assert_eq!(shown(&checked), "", "{source}");
    assert_eq!(compile(&checked.template.unwrap()).ok(), checked.plan, "{source}");
}

#[test]
fn shipped_documents_give_none() {
    for source in shipped::DEMO.into_iter().chain([shipped::ASK]) {
        assert_hints(source, &[]);
    }
}

#[test]
fn fields_that_the_input_does_not_declare() {
    let document = |input: &str, text: &str| {
        with_steps(&format!("  - {{name: A, prompt: \"{text}\"}}\ninput: {input}\n"))
    };
    let food = "{type: object, properties: {food: {}, drink: {}}}";
    let near = "line 5, steps[0].prompt: the input has no field 'foo': declare it in the input, or check the name (did \
                you mean 'food'?)";
    let far =
        "line 5, steps[0].prompt: the input has no field 'price': declare it in the input, or check the name";
    let (foo, price) = ("{{ context.input.foo }}", "{{ context['input']['price'] | default('') }}");
    for (input, text, expected) in [
        (food, foo, vec![near]),
        (food, price, vec![far]),
        (food, "{{ context.input.foo }} {{ context.input.foo }} {{ context.input.price }}", vec![near, far]),
        (food, "{{ context.input.food }} {{ context.input }}", vec![]),
        // The schema declares no fields.
        ("{type: object}", foo, vec![]),
        ("{type: object, properties: {}}", foo, vec![]),
        // The schema expects other fields.
        ("{type: object, properties: {food: {}}, additionalProperties: true}", foo, vec![]),
        ("{type: object, properties: {food: {}}, additionalProperties: {type: string}}", foo, vec![]),
        ("{type: object, properties: {food: {}}, patternProperties: {^f: {}}}", foo, vec![]),
        ("{type: object, properties: {food: {}}, anyOf: [{properties: {foo: {}}}]}", foo, vec![]),
        ("{properties: {food: {}}, $ref: '#/$defs/more', $defs: {more: {}}}", foo, vec![]),
    ] {
        assert_hints(&document(input, text), &expected);
    }
    assert_hints(&with_steps(&format!("  - {{name: A, prompt: \"{foo}\"}}\n")), &[]);
}

#[test]
fn every_place_that_reads_is_named() {
    let source = "\
apiVersion: troupe/v1
key: demo
name: Demo
input: {type: object, properties: {text: {}}}
output: '{{ context.input.a }}'
steps:
  - name: A
    prompt: Go
    condition: context.input.b
    forEach: context.input.c
    inputMapping:
      d: ['{{ context.input.d }}']
";
    let checked = yaml(source);
    let places: Vec<_> = checked.hints.iter().map(|hint| (hint.line, hint.path.as_str())).collect();
    assert_eq!(
        places,
        [
            (Some(5), "output"),
            (Some(9), "steps[0].condition"),
            (Some(10), "steps[0].forEach"),
            (Some(12), "steps[0].inputMapping.d[0]")
        ]
    );
    assert!(checked.plan.is_some());
}

/// If the schema allows no other fields, reading one is a problem.
#[test]
fn what_a_closed_input_lacks_is_a_problem() {
    let checked = yaml(&with_steps(
        "  - {name: A, prompt: '{{ context.input.foo }}'}\n\
         input: {type: object, properties: {food: {}}, additionalProperties: false}\n",
    ));
    assert_eq!(
        shown(&checked),
        " 15 | line 5, steps[0].prompt: the input has no field 'foo'; did you mean 'food'?"
    );
    assert_eq!((checked.hints, checked.plan), (vec![], None));
}

#[test]
fn a_model_gets_something_to_do() {
    let before = "the prompt is empty, and goes before the description: write what the model is to do, or leave 'prompt' out";
    for (fields, expected) in [
        ("prompt: Go", None),
        ("description: Go", None),
        ("prompt: Go, description: ''", None),
        ("prompt: '{{ context.input }}'", None),
        ("prompt: ''", Some(("prompt", "the prompt is empty: write what the model is to do"))),
        ("prompt: \" \\n \"", Some(("prompt", "the prompt is empty: write what the model is to do"))),
        ("prompt: '', description: Go", Some(("prompt", before))),
        (
            "description: ' '",
            Some((
                "description",
                "the description is empty, and there is no prompt: write what the model is to do",
            )),
        ),
        (
            "prompt: null",
            Some((
                "prompt",
                "there is no prompt, so the step's name is all that the model is asked: write what it is to do",
            )),
        ),
        // These steps call no model themselves, or have a built-in task for it.
        ("uses: approval", None),
        ("uses: approval, prompt: ''", None),
        ("uses: 'template:other'", None),
        ("uses: 'tool:web'", None),
        ("uses: 'component:summary'", None),
        ("uses: aggregate", None),
        (
            "uses: aggregate, prompt: ''",
            Some(("prompt", "the prompt is empty: write what the model is to do")),
        ),
    ] {
        let expected = expected.map(|(field, message)| format!("line 6, steps[1].{field}: {message}"));
        let expected: Vec<_> = expected.iter().map(String::as_str).collect();
        let source = with_steps(&format!("  - {{name: A, prompt: Go}}\n  - {{name: B, {fields}}}\n"));
        assert_hints(&source, &expected);
    }
}

#[test]
fn hints_stand_beside_problems_and_are_counted() {
    let steps: String = (0..250).map(|step| format!("  - {{name: Step {step}, prompt: ''}}\n")).collect();
    let checked =
        yaml(&with_steps(&format!("{steps}  - {{name: T, prompt: '{{{{ context[\"Step 9x\"] }}}}'}}\n")));
    assert_eq!(checked.problems.len(), 1);
    assert!(checked.problems[0].message.contains("did you mean"), "{}", shown(&checked));
    assert_eq!((checked.hints.len(), checked.plan), (101, None));
    assert_eq!(checked.hints[100].to_string(), "and 150 more hints");
}
