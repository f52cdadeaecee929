//! Documents: a template that was read is written as one that reads as the same.

use domain::{
    json::{self as numbers, ReadError},
    template::{self, Format, Template, shipped},
};
use serde_json::Value;

pub(crate) const YAML: &[&str] = &[
    shipped::ASK,
    "apiVersion: troupe/v1\nkey: k\nname: N\nsteps:\n  - name: A\n    prompt: |\n\n      {{ context.input.x }}\n  - name: 'B'\n    dependsOn: [A]\n    with: {files: true, n: 0x1F}\n",
    "apiVersion: troupe/v1\nkey: k\nname: \"N\\u00e9\"\ninput: {type: object, properties: {a: {type: integer, default: 1e3, pattern: '^\\p{L}+$'}}}\nsteps: [{name: A, outputSchema: {type: array, items: {$ref: '#'}}}]\n",
];
pub(crate) const YAML_WORDS: &[&str] = &[
    "\n",
    "\n  ",
    "- ",
    ": ",
    "{",
    "}",
    "[",
    "]",
    "'",
    "\"",
    "|",
    ">",
    "&a",
    "*a",
    "!!int ",
    "!x ",
    "---",
    "...",
    "%",
    "#",
    "~",
    "\t",
    "0x",
    ".inf",
    "99999999999999999999",
    "name",
    "steps",
    "pattern",
    "\u{feff}",
    "\u{2028}",
    "{{ ",
    " }}",
];

pub(crate) const JSON: &[&str] = &[
    "{\"apiVersion\": \"troupe/v1\", \"key\": \"k\", \"name\": \"N\", \"steps\": [{\"name\": \"A\", \"prompt\": \"{{ context.input.x }}\"}]}",
    "{\"apiVersion\": \"troupe/v1\", \"key\": \"k\", \"name\": \"N\\ud83d\\ude00\", \"input\": {\"properties\": {\"a\": {\"default\": -0.5e-7}}}, \"steps\": [{\"name\": \"A\", \"order\": 9007199254740993, \"condition\": \"1 > 0\"}, {\"name\": \"B\", \"forEach\": \"[1]\"}]}",
];
pub(crate) const JSON_WORDS: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "\\",
    "\\u0000",
    "\\ud800",
    "1e999",
    "-0",
    "18446744073709551616",
    "null",
    "true",
    "\n",
    " ",
    "steps",
    "outputSchema",
    "$ref",
    "#",
];

pub fn yaml(data: &[u8]) {
    document(data, Format::Yaml);
}

pub fn json(data: &[u8]) {
    document(data, Format::Json);
    let Ok(text) = str::from_utf8(data) else { return };
    match numbers::read::<Value>(data, "") {
        Ok(value) => {
            let written = value.to_string();
            let again: Value = numbers::read(written.as_bytes(), "").expect("what was written is read");
            assert_eq!(again.to_string(), written, "{text}");
        }
        Err(ReadError::TooLong(problem)) => assert!(problem.line.is_some()),
        Err(ReadError::Syntax(_)) => {}
    }
}

fn document(data: &[u8], format: Format) {
    let Ok(source) = str::from_utf8(data) else { return };
    let checked = template::check(source, format);
    let _ = template::step_lines(source);
    for problem in checked.problems.iter().chain(&checked.hints) {
        assert!(!problem.message.is_empty());
        if let Some(line) = problem.line {
            assert!(
                line as usize <= source.split(['\n', '\r']).count() + 1,
                "line {line} of a shorter text: {problem}"
            );
        }
    }
    let Some(document) = checked.template else { return };
    same(&document.to_json(), Format::Json, &document);
    same(&document.to_yaml(), Format::Yaml, &document);
    if format == Format::Yaml {
        let renamed = Template { name: "Another name".to_owned(), ..document };
        same(&template::revise(source, &renamed).source, Format::Yaml, &renamed);
    }
}

fn same(text: &str, format: Format, document: &Template) {
    let checked = template::check(text, format);
    let read =
        checked.template.unwrap_or_else(|| panic!("is not read again: {:?}\n{text}", checked.problems));
    assert_eq!(read.to_json(), document.to_json(), "{text}");
}
