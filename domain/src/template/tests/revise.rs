//! Changes to a document leave the rest of its text alone.

use serde_json::{Value, json};

use crate::template::{Format, Step, Template, check, parse, revise, step_lines};

const SOURCE: &str = "\
# The team's own words.
apiVersion: troupe/v1
key: t
name: T   # short
input:
  type: object
  properties:
    # what it is about
    text: {type: string}
maxed: 0
steps:
  # First of all.
  - name: Draft
    prompt: |
      # Heading
      Write about {{ context.input.text }}

    maxRetries: 0   # on purpose

  # Then this.
  - name: 'Polish'
    # carefully
    prompt: \"Polish {{ context['Draft'] }}\"
    timeout: 1000

# the end
output: \"{{ context['Polish'] }}\"
";

fn source() -> String {
    SOURCE.replace("maxed: 0\n", "")
}

fn changed(change: impl FnOnce(&mut Template)) -> (Template, String) {
    let source = source();
    let mut template = parse(&source, Format::Yaml).unwrap();
    change(&mut template);
    let revised = revise(&source, &template);
    assert!(revised.kept, "{}", revised.source);
    assert_eq!(parse(&revised.source, Format::Yaml).unwrap(), template);
    (template, revised.source)
}

/// The removed and the added lines, compared with the original text.
fn difference(text: &str) -> (Vec<String>, Vec<String>) {
    let old = source();
    let lacks = |one: &str, other: &str| {
        let lines = other.lines().collect::<Vec<_>>();
        one.lines().filter(|line| !lines.contains(line)).map(str::to_owned).collect::<Vec<_>>()
    };
    (lacks(&old, text), lacks(text, &old))
}

#[test]
fn one_field_changes_its_own_lines() {
    let (_, text) = changed(|template| template.steps[1].timeout = Some(2_000));
    assert_eq!(difference(&text), (vec!["    timeout: 1000".into()], vec!["    timeout: 2000".into()]));
    let (_, text) = changed(|template| template.steps[1].timeout = None);
    assert_eq!(difference(&text), (vec!["    timeout: 1000".into()], vec![]));
    let (_, text) = changed(|template| template.steps[0].description = Some("Why: this".into()));
    assert_eq!(difference(&text), (vec![], vec!["    description: \"Why: this\"".into()]));
    assert_eq!(
        text,
        source().replace("  - name: Draft\n", "  - name: Draft\n    description: \"Why: this\"\n")
    );
}

#[test]
fn a_long_text_becomes_a_block() {
    let (_, text) = changed(|template| template.steps[1].prompt = Some("One\n\nTwo\n".into()));
    assert!(
        text.contains("    # carefully\n    prompt: |\n      One\n\n      Two\n    timeout: 1000\n"),
        "{text}"
    );
}

#[test]
fn a_new_name_stays_in_its_place() {
    let (_, text) = changed(|template| {
        template.steps[1].name = "Finish".into();
        template.output = None;
    });
    assert!(text.contains("  # Then this.\n  - name: Finish\n    # carefully\n"), "{text}");
}

#[test]
fn steps_are_added_removed_and_moved_whole() {
    let added = Step { name: "Between".into(), prompt: Some("Say".into()), ..Step::default() };
    let (_, text) = changed(|template| template.steps.insert(1, added));
    assert!(
        text.contains("# on purpose\n\n  - name: Between\n    prompt: Say\n\n  # Then this.\n"),
        "{text}"
    );
    let (_, text) = changed(|template| template.steps.swap(0, 1));
    assert!(text.contains("steps:\n  # Then this.\n  - name: 'Polish'\n"), "{text}");
    assert!(text.contains("    timeout: 1000\n\n  # First of all.\n  - name: Draft\n"), "{text}");
    let (_, text) = changed(|template| drop(template.steps.remove(0)));
    assert!(!text.contains("First of all") && text.contains("# Then this."), "{text}");
}

#[test]
fn what_did_not_move_keeps_its_distance() {
    let close = "apiVersion: troupe/v1\nkey: t\nname: T\nsteps:\n  - name: A\n\n  - name: B\n  - name: C\n";
    let mut template = parse(close, Format::Yaml).unwrap();
    template.steps[0].max_retries = 1;
    let expected = close.replace("- name: A\n", "- name: A\n    maxRetries: 1\n");
    assert_eq!(revise(close, &template).source, expected);
}

#[test]
fn fields_that_change_places_do_so_in_the_text() {
    let source = "apiVersion: troupe/v1\nkey: t\nname: T # kept\ninput:\n  # and this\n  type: object\n  properties:\n    a: {}\n    b: {type: string}\nsteps:\n  - name: A\n";
    let mut template = parse(source, Format::Yaml).unwrap();
    template.input = Some(json!({"type": "object", "properties": {"b": {"type": "string"}, "a": {}}}));
    let revised = revise(source, &template);
    assert!(revised.kept);
    assert!(
        revised.source.contains("name: T # kept\n") && revised.source.contains("  # and this\n"),
        "{}",
        revised.source
    );
    let (a, b) = (revised.source.find("    a:"), revised.source.find("    b:"));
    assert!(b.is_some() && b < a, "{}", revised.source);
}

#[test]
fn schemas_keep_their_comments() {
    let (_, text) = changed(|template| {
        let Some(Value::Object(input)) = &mut template.input else { return };
        input.insert("required".into(), json!(["text"]));
    });
    assert!(
        text.contains("    # what it is about\n    text: {type: string}\n  required:\n    - text\n"),
        "{text}"
    );
}

#[test]
fn what_cannot_be_cut_is_written_anew_and_says_so() {
    let source = "# mine\n{apiVersion: troupe/v1, key: t, name: T, steps: [{name: A}]}\n";
    let mut template = parse(source, Format::Yaml).unwrap();
    template.name = "Other".into();
    let revised = revise(source, &template);
    assert!(!revised.kept);
    assert_eq!(parse(&revised.source, Format::Yaml).unwrap(), template);
    let whole = "apiVersion: troupe/v1\nkey: t\nname: T\nsteps:\n  - {name: A} # one\n  - {name: B}\n";
    let mut template = parse(whole, Format::Yaml).unwrap();
    template.steps[1].prompt = Some("p".into());
    let revised = revise(whole, &template);
    assert_eq!(revised.source, whole.replace("{name: B}", "name: B\n    prompt: p"));
    assert!(revised.kept);
}

#[test]
fn lines_of_steps() {
    assert_eq!(step_lines(&source()), [12, 20]);
    assert_eq!(step_lines("steps: ["), [0; 0]);
    assert_eq!(check(&source(), Format::Yaml).problems, []);
}
