//! Table tests of expressions: their values, the names they read, and the rejected ones.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;
use crate::template::Step;

struct World {
    input: Value,
    outputs: BTreeMap<String, Value>,
    mapped: BTreeMap<String, Value>,
    conversation: Value,
}

impl World {
    fn new() -> Self {
        Self {
            input: json!({"code": "let x = 1;", "n": 7, "list": [1, 2, 3], "on": true, "none": null, "half": 0.5}),
            outputs: BTreeMap::from([
                ("Analyze Code".into(), json!("It binds <x>.")),
                ("Score".into(), json!({"value": 8, "tags": ["a", "b"]})),
                ("Skipped".into(), json!(null)),
            ]),
            mapped: BTreeMap::from([("verdict".into(), json!("good"))]),
            conversation: json!([{"author": "user", "content": "hi"}]),
        }
    }

    fn context(&self) -> Context<'_> {
        Context {
            input: &self.input,
            outputs: &self.outputs,
            mapped: &self.mapped,
            conversation: &self.conversation,
            item: None,
        }
    }
}

fn step(name: &str) -> Step {
    Step { name: name.into(), ..Step::default() }
}

#[test]
fn one_expression_keeps_its_type() {
    let world = World::new();
    let evaluator = Evaluator::new();
    for (text, expected) in [
        ("{{ context.input.code }}", json!("let x = 1;")),
        ("{{context.input.n}}", json!(7)),
        ("  {{ context.input.list }}\n", json!([1, 2, 3])),
        ("{{ context['Score'] }}", json!({"value": 8, "tags": ["a", "b"]})),
        ("{{ context['Score'].tags[1] }}", json!("b")),
        ("{{ context['Score']['value'] + 1 }}", json!(9)),
        ("{{ context.input['on'] }}", json!(true)),
        ("{{ context.input.none }}", json!(null)),
        ("{{ context['Skipped'] }}", json!(null)),
        ("{{ context.verdict }}", json!("good")),
        ("{{ context.conversation[0].content }}", json!("hi")),
        ("{{ context.input.half * 2 }}", json!(1.0)),
        ("{{ context.input.list | length }}", json!(3)),
        ("{{ context.input.list | sum }}", json!(6)),
        ("{{ context.input.list | map('string') | join('-') }}", json!("1-2-3")),
        ("{{ context.input.list | join(', ') }}", json!("1, 2, 3")),
        ("{{ [context.input.n, 'x'] }}", json!([7, "x"])),
        ("{{ {'b': 1, 'a': context.input.n} }}", json!({"b": 1, "a": 7})),
        ("{{- context.input.n -}}", json!(7)),
        ("{{ context.input.list[-1] }}", json!(3)),
        ("{{ context.input.missing | default('none') }}", json!("none")),
        ("{{ context.input.missing is defined }}", json!(false)),
        ("{{ 'yes' if context.input.n > 5 else 'no' }}", json!("yes")),
        ("{{ range(3) }}", json!([0, 1, 2])),
        ("{{ '{{ literal }}' }}", json!("{{ literal }}")),
        // Not a single expression: a string.
        ("{{ context.input.n }}!", json!("7!")),
        ("{{ context.input.n }}{{ context.input.on }}", json!("7true")),
        ("{{ context.input.list }} and {{ context['Skipped'] }}", json!("[1,2,3] and null")),
        (
            "{{ context['Analyze Code'] }} {{ context['Score'] }}",
            json!("It binds <x>. {\"value\":8,\"tags\":[\"a\",\"b\"]}"),
        ),
        ("{% for n in context.input.list %}{{ loop.index }}={{ n }};{% endfor %}", json!("1=1;2=2;3=3;")),
        // Comments are plain text, like everything else outside `{{ }}` and `{% %}`.
        ("{# a note #}plain", json!("{# a note #}plain")),
        ("{# not closed: {{ context.input.n }}", json!("{# not closed: 7")),
        ("{#- {{ context.input.n }} -#}{% if true %}{# x #}{% endif %}", json!("{#- 7 -#}{# x #}")),
        ("{% raw %}{{ as it is }} {# x #}{% endraw %}", json!("{{ as it is }} {# x #}")),
        // No braces: literal.
        ("context.input.code", json!("context.input.code")),
        ("", json!("")),
        ("a } b { c", json!("a } b { c")),
    ] {
        assert_eq!(evaluator.value(text, &world.context()), Ok(expected), "{text}");
    }
}

/// Texts of a template give the same values with the evaluator's prepared analysis as without it.
#[test]
fn known_texts_give_what_unknown_ones_do() {
    let world = World::new();
    let prompt = "{% for n in context.input.list %}{{ n | float }} {% endfor %}";
    let broken = "{% for n in context.input.missing %}{{ n }}{% endfor %}";
    let template: Template = serde_json::from_value(json!({
        "apiVersion": "troupe/v1", "key": "k", "name": "N", "steps": [
            {"name": "A", "prompt": prompt, "condition": "context.input.n > 5", "forEach": "context.input.list"},
            {"name": "B", "prompt": broken},
        ]
    }))
    .unwrap();
    let (known, unknown) = (Evaluator::of(&template), Evaluator::new());
    for text in [prompt, broken] {
        assert_eq!(known.value(text, &world.context()), unknown.value(text, &world.context()), "{text}");
    }
    assert_eq!(known.value(prompt, &world.context()), Ok(json!("1.0 2.0 3.0 ")));
    for evaluator in [known, unknown] {
        assert_eq!(evaluator.condition("context.input.n > 5", &world.context()), Ok(true));
        assert_eq!(evaluator.items("context.input.list", &world.context()).unwrap().len(), 3);
    }
}

#[test]
fn whole_numbers_keep_their_digits() {
    let mut world = World::new();
    world.input = json!({"big": u64::MAX, "list": [i64::MAX, 1]});
    for (text, expected) in [
        ("{{ context.input.big }}", json!(u64::MAX)),
        ("{{ context.input.list | sum }}", json!(9_223_372_036_854_775_808_u64)),
        ("{{ '18446744073709551615' | int }}", json!(u64::MAX)),
        ("{{ context.input.big + 1 }} in a text", json!("18446744073709551616 in a text")),
        ("{{ (context.input.big * 10) | string }}", json!("184467440737095516150")),
        ("{{ '123456789012345678901234567890' | int }}.", json!("123456789012345678901234567890.")),
    ] {
        assert_eq!(value(text, &world.context()), Ok(expected), "{text}");
    }
}

#[test]
fn conditions_take_braces_or_none() {
    let world = World::new();
    for (text, expected) in [
        ("context['Score'].value > 7", true),
        ("{{ context['Score'].value > 8 }}", false),
        ("context.input.on", true),
        ("context.input.none", false),
        ("context['Skipped'] is none", true),
        ("context.verdict == 'good' and 'x' in context.input.code", true),
        ("not context.input.list", false),
        ("context.input.missing is defined", false),
        ("0.0", false),
        ("''", false),
    ] {
        assert_eq!(condition(text, &world.context()), Ok(expected), "{text}");
    }
}

#[test]
fn what_cannot_be_evaluated_says_why() {
    let world = World::new();
    let texts = [
        "{{ context.input.missing }}",
        "{{ context['Nowhere'] }}",
        "Dear {{ context.input.missing }}",
        "{{ context.input.missing.deeper }}",
        "{{ context }}",
        "{{ context | tojson }}",
        "{% for key in context %}{{ key }}{% endfor %}",
        "{{ context[context.input.code] }}",
        "{{ context['a' ~ 'b'] }}",
        "{% set context = 1 %}",
        "{{ }}",
        "{{ context.input.code",
        "{% if %}",
        "line one\nline two {{ 1 + }}",
        "{{ context.input.code | uper }}",
        "{{ context.input.code | nothinglikeit }}",
        "{{ context.input.n is even_ish_thing }}",
        "{{ context.input.code.upper() }}",
        "{{ include('x') }}",
        "{% include 'x' %}",
        "{% macro f(x) %}{{ x }}{% endmacro %}",
        "{% set x %}a{% endset %}",
        "{{ unknown }}",
        "{{ context.input.n / 0 }}",
        "{{ context.input.code + 1 }}",
        "{{ context.input.code * context.input.n }}",
        "{% oops %}",
        "{{\0 a comment to minijinja \0}}",
        "{{ 10 ** 30 }}",
        "{{ '123456789012345678901234567890' | int }}",
        "{{ '-123456789012345678901234567890123456789012' | int }} in a text",
        "{{ [10 ** 38, 10 ** 38] | sum }} in a text",
    ];
    let shown: Vec<String> = texts
        .iter()
        .map(|text| match value(text, &world.context()) {
            Ok(value) => panic!("{text} gave {value}"),
            Err(error) => {
                format!("{text}\n    {}{error}", error.line.map_or(String::new(), |l| format!("line {l}: ")))
            }
        })
        .collect();
    insta::assert_snapshot!(shown.join("\n"));
    assert!(condition("{{ context.input.n }} > 7", &world.context()).is_err());
    assert!(condition(" ", &world.context()).is_err());
    assert!(condition("a b", &world.context()).is_err());
}

#[test]
fn reading_is_known_from_the_syntax() {
    let read = reads(
        "{% set n = context.input.n %}{{ n }}{% for x in context['A B'] if x %}{{ x.y }}{{ context.C.d }}{% endfor %}\
         {{ code }}{{ context.input['other'] }}{{ context['input'].third }}{{ range(2) }}{{ x }}",
    )
    .unwrap();
    assert_eq!(read.context_keys, ["A B", "C", "input"].map(String::from).into());
    assert_eq!(read.input_fields, ["n", "other", "third"].map(String::from).into());
    assert!(!read.whole_input);
    for whole in
        ["{{ context.input }}", "{{ context.input[context.A] }}", "{% set i = context.input %}{{ i.x }}"]
    {
        assert!(reads(whole).unwrap().whole_input, "{whole}");
    }
    // The last `x` is outside its loop.
    assert_eq!(read.names, ["code", "context", "x"].map(String::from).into());

    assert_eq!(
        reads_bare("context['B'] and item > index").unwrap().names,
        ["context", "index", "item"].map(String::from).into()
    );
    assert_eq!(reads("no braces, context.input.x").unwrap(), Reads::default());
}

#[test]
fn a_prompt_sees_mapped_inputs_and_appends_the_others() {
    let world = World::new();
    let step = Step {
        prompt: Some("Review:\n{{ code }}\n".into()),
        input_mapping: Map::from_iter([
            ("code".to_owned(), json!("{{ context.input.code }}")),
            ("analysis".to_owned(), json!("{{ context['Analyze Code'] }}")),
            ("depth".to_owned(), json!(3)),
            ("deep".to_owned(), json!({"a": ["{{ context.input.n }}", "x{{ context.input.n }}"]})),
        ]),
        ..step("S")
    };
    let mapped = input_mapping(&step, &world.context()).unwrap();
    assert_eq!(
        Value::Object(mapped.clone()),
        json!({"code": "let x = 1;", "analysis": "It binds <x>.", "depth": 3, "deep": {"a": [7, "x7"]}})
    );
    insta::assert_snapshot!(prompt(&step, &mapped, &world.context()).unwrap());
}

#[test]
fn a_prompt_falls_back_to_description_and_name() {
    let world = World::new();
    let none = Map::new();
    let described = Step { description: Some("Count to {{ context.input.n }}".into()), ..step("S") };
    assert_eq!(prompt(&described, &none, &world.context()).unwrap(), "Count to 7");
    assert_eq!(prompt(&step("Say {{ hi }}"), &none, &world.context()).unwrap(), "Say {{ hi }}");
    let typed = Step { prompt: Some("{{ context['Score'] }}".into()), ..step("S") };
    assert_eq!(prompt(&typed, &none, &world.context()).unwrap(), r#"{"value":8,"tags":["a","b"]}"#);
}

#[test]
fn errors_name_their_field() {
    let world = World::new();
    let step = Step {
        input_mapping: Map::from_iter([("code".to_owned(), json!({"a": [1, "{{ context.input.nope }}"]}))]),
        prompt: Some("ok\n{{ nope }}".into()),
        ..step("S")
    };
    let error = input_mapping(&step, &world.context()).unwrap_err();
    assert_eq!(error.path, "inputMapping.code.a[1]");
    let error = prompt(&step, &Map::new(), &world.context()).unwrap_err();
    assert_eq!((error.path.as_str(), error.line), ("prompt", Some(2)));
}

#[test]
fn outputs_are_mapped_over_output_alone() {
    let step = Step {
        output_mapping: Map::from_iter([
            ("score".to_owned(), json!("{{ output.value }}")),
            ("line".to_owned(), json!("scored {{ output.value }}")),
            ("fixed".to_owned(), json!(true)),
        ]),
        ..step("S")
    };
    let mapped = output_mapping(&step, &json!({"value": 3})).unwrap();
    assert_eq!(Value::Object(mapped), json!({"score": 3, "line": "scored 3", "fixed": true}));
    let error = output_mapping(&step, &json!("text")).unwrap_err();
    assert_eq!(error.path, "outputMapping.score");
}

#[test]
fn hostile_expressions_end_soon_with_an_error() {
    let world = World { input: json!({"big": "x".repeat(500_000), "n": 1_000_000_000}), ..World::new() };
    let many = |text: &str, times: usize| text.repeat(times);
    let texts = [
        "{% for i in range(1000000000) %}x{% endfor %}".to_owned(),
        "{% for i in range(10000) %}{% for j in range(10000) %}{% endfor %}{% endfor %}".to_owned(),
        "{% for i in range(10000) %}{{ range(10000) | sum }}{% endfor %}".to_owned(),
        "{% for i in range(10000) %}{{ range(10000) | list | sort | length }}{% endfor %}".to_owned(),
        "{% for i in range(10000) %}{{ context.input.big }}{% endfor %}".to_owned(),
        format!("{{% for i in range(10000) %}}{}{{% endfor %}}", many("raw text ", 1000)),
        "{{ 'a' * 1000000000 }}".to_owned(),
        "{{ 'a' * 1000 * 1000 * 1000 }}".to_owned(),
        "{{ 'a' * context.input.n }}".to_owned(),
        "{{ [1] * context.input.n }}".to_owned(),
        format!("{{% set a = context.input.big %}}{}{{{{ a | length }}}}", many("{% set a = a ~ a %}", 40)),
        format!("{{% set a = ['x'] %}}{}{{{{ a | tojson }}}}", many("{% set a = [a, a] %}", 40)),
        format!("{{{{ context.input.big{} }}}}", many(" | replace('x', 'xxxxxxxxxx')", 10)),
        "{{ range(10000) | join(context.input.big) }}".to_owned(),
        "{{ context.input.big | indent(1000000000) }}".to_owned(),
        "{{ range(10000) | map('indent', 100) }}".to_owned(),
        format!("{{{{ {}1{} }}}}", many("(", 5000), many(")", 5000)),
        format!("{{{{ {}1 }}}}", many("not ", 5000)),
        format!("{{{{ {}1 }}}}", many("1+", 5000)),
        format!("{{{{ {}1 }}}}", many("-", 5000)),
        format!("{{{{ a{} }}}}", many(".b", 5000)),
        format!("{{{{ {}1{} }}}}", many("[", 5000), many("]", 5000)),
        format!("{}{}", many("{% if 1 %}", 5000), many("{% endif %}", 5000)),
        format!("{{% if 1 %}}{}{{% endif %}}", many("{% elif 1 %}", 5000)),
        "{% for x in [[[[1]]]] recursive %}{{ loop(x) }}{% endfor %}".to_owned(),
        "{{ 9 ** 9 ** 9 ** 9 }}".to_owned(),
        "{{ range(0, 10, 0) }}".to_owned(),
        "{{ ''.__class__.__mro__ }}".to_owned(),
    ];
    let evaluator = Evaluator::new();
    let shown: Vec<String> = texts
        .iter()
        .map(|text| {
            let start = Instant::now();
            let result = evaluator.value(text, &world.context());
            let short: String = text.chars().take(60).collect();
            assert!(start.elapsed() < Duration::from_secs(5), "{short} took {:?}", start.elapsed());
            match result {
                Ok(_) => panic!("{short} was evaluated"),
                Err(error) => format!("{short}\n    {error}"),
            }
        })
        .collect();
    insta::assert_snapshot!(shown.join("\n"));
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in r#"([{}%#]{1,2}|context|\.input|\['A'\]|[ |~*+\-=0-9"'a-z()\[\],:]|for|in|endfor|if|set){0,30}"#) {
        let world = World::new();
        let _ = reads(&text);
        let _ = value(&text, &world.context());
        let _ = condition(&text, &world.context());
    }

    #[test]
    fn a_text_goes_through_as_it_is(text in "\\PC{0,60}") {
        let world = World { input: json!({"text": text}), ..World::new() };
        prop_assert_eq!(value("{{ context.input.text }}", &world.context()), Ok(json!(text)));
        prop_assert_eq!(value("[{{ context.input.text }}]", &world.context()), Ok(json!(format!("[{text}]"))));
    }
}

/// A text of names and literal parts is not passed to minijinja; one with a statement is. Both must give the same
/// result.
fn both_ways(text: &str) -> [Result<Value, ExpressionError>; 2] {
    let world = World::new();
    [text.to_owned(), format!("{{% if 0 %}}{{% endif %}}{text}")].map(|text| value(&text, &world.context()))
}

#[test]
fn names_between_literal_parts_read_as_in_minijinja() {
    for (text, expected) in [
        ("Read {{ context.input.code }}", Some("Read let x = 1;")),
        ("{{ context.input.n }}{{ context['Score'] }}\n", Some("7{\"value\":8,\"tags\":[\"a\",\"b\"]}")),
        ("a {{- context.input.none -}} b", Some("anullb")),
        ("half: {{ context.input['half'] }}\n\n", Some("half: 0.5\n")),
        ("{{ context['Score'].tags }} {{ context.input.on }}", Some("[\"a\",\"b\"] true")),
        ("no {{ context.input.such }} thing", None),
        ("no {{ context.input.none.such }} thing", None),
    ] {
        let [short, long] = both_ways(text);
        assert_eq!(short.as_ref().ok().and_then(Value::as_str), expected, "{text}");
        assert_eq!(short.is_ok(), long.is_ok(), "{text}");
        assert!(short.is_err() || short == long, "{text}: {short:?} is not {long:?}");
    }
}

proptest! {
    #[test]
    fn what_is_joined_is_what_minijinja_renders(
        text in r#"x(y?[\n \-]{0,2}(\{\{-? context(\.input\.(code|n|list|half|none)|\['Score'\](\.value|\.tags)?|\.verdict) -?\}\})){1,5}ü?\n{0,2}"#,
    ) {
        let [short, long] = both_ways(&text);
        prop_assert_eq!(short.ok(), long.ok());
    }
}

/// Just under the length limits, evaluation may reject a text but must not overflow the stack: test threads have 2 MB,
/// as the server's threads do.
#[test]
fn the_longest_texts_fit_the_stack() {
    let world = World::new();
    let many = |text: &str, times: usize| text.repeat(times);
    let texts = [
        format!("{{{{ {}1 }}}}", many("1+", 195)),
        format!("{{{{ {}1 }}}}", many("1 if 1 else ", 75)),
        format!("{{{{ {}1 }}}}", many("not ", 390)),
        format!("{{{{ {}1 }}}}", many("- ", 390)),
        format!("{{{{ 1 {}}}}}", many("| string", 190)),
        format!("{{{{ {}1{} }}}}", many("(", 140), many(")", 140)),
        format!("{{{{ {}1{} }}}}", many("[", 140), many("]", 140)),
        format!("{{{{ context.input{} }}}}", many(".b", 190)),
        format!("{{% if 0 %}}{}{{% endif %}}", many("{% elif 0 %}", 195)),
        format!("{}x{}", many("{% if 1 %}", 99), many("{% endif %}", 99)),
        format!("{}x{}", many("{% for a in [1] %}", 99), many("{% endfor %}", 99)),
    ];
    for text in texts {
        let _ = value(&text, &world.context());
    }
}
