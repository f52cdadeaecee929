//! Expressions: whatever their text, they end soon, keep to their bounds and read only what is known from the text.

use domain::{
    expression::{Context, Evaluator, Item, MAX_TEXT, reads, reads_bare},
    template::Step,
};
use serde_json::{Map, json};
use std::{collections::BTreeMap, time::Instant};

pub(crate) const SEEDS: &[&str] = &[
    "{{ context.input.code }}",
    "Review {{ code | upper }}:\n{% for n in context.input.list if n > 1 %}{{ loop.index }}{{ n ** 2 }}{% else %}none{% endfor %}",
    "{% set x = context['A B'] ~ 'y' %}{{ x | replace('y', 'z') | indent(2) }}{# text #}{% raw %}{{ }}{% endraw %}",
    "context['S'].value // 2 >= item and index is divisibleby 2 or not context.input.none",
    "{{ range(3) | map('string') | join(',') }}{{ {'a': [1, 2.5]} | tojson }}{{ '12' | int + 1e3 }}",
];
pub(crate) const WORDS: &[&str] = &[
    "{{",
    "}}",
    "{%",
    "%}",
    "{#",
    "#}",
    "-",
    "|",
    "context",
    "context.input.",
    "['S']",
    "item",
    "index",
    "range(",
    "10000",
    ")",
    "if ",
    "else",
    "endif",
    "for x in ",
    "endfor",
    "set x = ",
    "with ",
    "endwith",
    "raw",
    "endraw",
    "~",
    "**",
    "* 1000",
    "[::2]",
    "| sum",
    "| int",
    "| float",
    "| round(400)",
    "| sort",
    "| unique",
    "| map(attribute='a')",
    "| indent(100)",
    "| default(1)",
    "is defined",
    "in ",
    "not ",
    "'",
    "\"",
    "99999999999999999999999999999999999999999",
    "\0",
];

pub fn expressions(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let input = json!({"code": "let x = 1;", "list": [1, 2, 3], "none": null, "n": u64::MAX, "text": "a\nb"});
    let outputs =
        BTreeMap::from([("A B".to_owned(), json!("It binds.")), ("S".to_owned(), json!({"value": 8}))]);
    let (mapped, conversation) = (BTreeMap::new(), json!([{"author": "user", "content": "hi"}]));
    let item = Item { value: &json!({"a": "x"}), index: &json!(2) };
    let context = Context {
        input: &input,
        outputs: &outputs,
        mapped: &mapped,
        conversation: &conversation,
        item: Some(item),
    };
    let began = Instant::now();
    let evaluator = Evaluator::new();
    let read = reads(text);
    let value = evaluator.value(text, &context);
    if !text.contains("{{") && !text.contains("{%") {
        assert_eq!(value, Ok(text.into()), "a text without braces is itself");
    }
    if let Ok(value) = &value {
        assert!(read.is_ok(), "what is evaluated is read");
        assert!(value.to_string().len() <= 16 * MAX_TEXT, "a value without bounds");
    }
    let step = Step { name: "S".to_owned(), prompt: Some(text.to_owned()), ..Step::default() };
    let names = Map::from_iter([("code".to_owned(), json!("mapped"))]);
    if let Ok(prompt) = evaluator.prompt(&step, &names, &context) {
        assert!(prompt.len() <= 2 * MAX_TEXT, "a prompt without bounds");
    }
    let condition = evaluator.condition(text, &context);
    assert!(condition.is_err() || reads_bare(text).is_ok());
    let _ = evaluator.items(text, &context);
    assert!(began.elapsed().as_secs() < 30, "takes {:?}", began.elapsed());
}
