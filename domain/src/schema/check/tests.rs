use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use serde_json::json;

use super::*;

fn lines(problems: &[Problem]) -> Vec<String> {
    problems.iter().map(ToString::to_string).collect()
}

fn validate(schema: &Value, instance: &Value) -> Vec<Problem> {
    Schema::new(schema).unwrap().problems(instance, "input")
}

#[test]
fn problems_name_their_place() {
    let schema = json!({
        "type": "object",
        "required": ["code", "a key"],
        "additionalProperties": false,
        "properties": {
            "code": {"type": "string", "minLength": 1, "maxLength": 3},
            "a key": {},
            "n": {"type": ["integer", "null"], "minimum": 2},
            "tone": {"enum": ["dry", "warm"]},
            "list": {"type": "array", "items": {"type": "object", "required": ["x"]}},
            "id": {"pattern": "^[a-z]+$"}
        }
    });
    let value = json!({"n": 1, "tone": "wet", "list": [{"x": 1}, {}, 3], "id": "A", "code": "", "more": 1});
    let mut shown = lines(&validate(&schema, &value));
    shown.extend(lines(&validate(&schema, &json!({"n": 1.5, "code": "long", "a key": 1}))));
    shown.extend(lines(&validate(&schema, &json!([]))));
    insta::assert_snapshot!(shown.join("\n"));
}

#[test]
fn schemas_that_are_none_or_lead_elsewhere_are_refused() {
    let refused = [
        json!({"type": "strin"}),
        json!({"properties": []}),
        json!({"pattern": "("}),
        json!({"$ref": "https://example.com/schema.json"}),
        json!({"properties": {"a": {"$ref": "file:///etc/passwd"}}}),
        json!({"properties": {"a": {"$ref": "other.json#/x"}}}),
        json!({"$id": "https://example.com/", "properties": {}}),
        json!({"$ref": "#/$defs/missing"}),
        json!({"$ref": "#"}),
        json!({"allOf": [{"$ref": "#"}]}),
        json!({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"not": {"$ref": "#/$defs/a"}}}}),
        json!({"$schema": "https://example.com/my-own-schema"}),
        json!({"$schema": "http://json-schema.org/draft-04/schema#"}),
        json!({"properties": {"default": {"$ref": "#/properties/default"}}}),
        json!(3),
    ];
    let shown: Vec<String> = refused
        .iter()
        .map(|schema| match Schema::new(schema) {
            Ok(_) => panic!("{schema} was accepted"),
            Err(error) => error.to_string(),
        })
        .collect();
    insta::assert_snapshot!(shown.join("\n"));
}

#[test]
fn schemas_may_refer_to_themselves_further_down() {
    let tree = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$ref": "#/$defs/node",
        "$defs": {"node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}, "v": {"type": "integer"}}}}
    });
    assert_eq!(validate(&tree, &json!({"next": {"next": {"v": 1}}})), vec![]);
    assert_eq!(
        lines(&validate(&tree, &json!({"next": {"v": "x"}}))),
        ["input.next.v: must be a whole number"]
    );
}

/// A schema of so many properties, each with a large pattern of its own.
fn hostile(properties: usize) -> Value {
    unicode(properties, 200)
}

/// A pattern of 20 letters of any script takes a megabyte.
fn unicode(properties: usize, letters: usize) -> Value {
    let pattern = |index| format!("\\p{{L}}{{{letters}}}{index}");
    let property = |index: usize| (format!("p{index}"), json!({"pattern": pattern(index)}));
    json!({"type": "object", "properties": (0..properties).map(property).collect::<Map<_, _>>()})
}

#[test]
fn patterns_that_take_too_much_are_refused_at_their_place() {
    for properties in [64, 200] {
        let error = Schema::new(&hostile(properties)).unwrap_err().to_string();
        assert!(error.starts_with("at properties.p1.pattern: ") && error.contains("16 MB"), "{error}");
    }
    let names = json!({"patternProperties": {"^a$": {}, "\\p{L}{1000}": {}}});
    let error = Schema::new(&names).unwrap_err().to_string();
    assert!(error.starts_with("at patternProperties["), "{error}");
    // One such pattern is no harm; nor are many small ones.
    assert!(Schema::new(&hostile(1)).is_ok());
    let many = (0..500)
        .map(|index| (format!("p{index}"), json!({"pattern": format!("^[a-z]{{1,{}}}$", 1 + index)})));
    let many = json!({"properties": many.collect::<Map<_, _>>()});
    assert_eq!(validate(&many, &json!({"p0": "a", "p1": "abc", "p499": "abc"})).len(), 1);
}

#[test]
fn a_document_with_such_a_schema_is_told_the_place() {
    let document = json!({
        "apiVersion": "troupe/v1", "key": "k", "name": "N", "input": hostile(200), "steps": [{"name": "A"}]
    });
    let text = serde_json::to_string_pretty(&document).unwrap();
    let checked = crate::template::check(&text, crate::template::Format::Json);
    let [problem] = &checked.problems[..] else { panic!("{:?}", checked.problems) };
    assert_eq!(problem.path, "input.properties.p1.pattern");
    let line = text.lines().nth(problem.line.unwrap() as usize - 1).unwrap();
    assert!(line.contains("{200}1"), "{line}");
}

#[test]
fn all_patterns_of_a_document_share_a_budget() {
    let (shelf, mut problems) = (Shelf::default(), Problems::default());
    let mut budget = shelf.pattern_budget();
    budget.left = 3_500_000;
    for _ in 0..5 {
        check_schema(&unicode(1, 20), &Path::Root, &mut budget, &mut problems);
    }
    let told = lines(&problems.into_vec());
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].contains("the schemas of this document take more than 32 MB"), "{told:?}");
}

#[test]
fn a_shelf_keeps_what_was_compiled_last_and_gives_the_rest_back() {
    let most = 4 << 20;
    let shelf = Arc::new(Shelf::holding(most));
    let schemas: Vec<_> = (0..6).map(|_| Schema::shelved(&unicode(1, 20), &shelf).unwrap()).collect();
    assert_eq!(shelf.bytes(), 0, "nothing is compiled before it is needed");
    for schema in schemas.iter().chain(&schemas) {
        assert_eq!(schema.problems(&json!({"p0": "x"}), "input").len(), 1);
        assert!((1_000_000..=most).contains(&shelf.bytes()), "{}", shelf.bytes());
    }
    let Kept::Shelved { last, .. } = &schemas[0].0 else { panic!("it has patterns") };
    assert!(last.lock().unwrap().upgrade().is_none(), "it was given back");
    // A schema that could not be compiled takes no room, and reports that when it is used.
    let stored = Schema::shelved(&hostile(64), &shelf).unwrap();
    let told = lines(&stored.problems(&json!({}), "input"));
    assert!(
        told[0].starts_with("input: cannot be checked: its schema is refused: at properties.p1.pattern"),
        "{told:?}"
    );
}

#[test]
fn a_text_too_long_for_its_pattern_is_told_so() {
    let schema = json!({"pattern": "(\\w?){3000}x"});
    let told = lines(&validate(&schema, &json!("a".repeat(1_000_000))));
    assert!(told[0].contains("must have at most"), "{told:?}");
    assert_eq!(validate(&json!({"pattern": "^a+$"}), &json!("a".repeat(1_000_000))), vec![]);
}

#[test]
fn hostile_patterns_take_no_time() {
    let schema = json!({"properties": {"a": {"pattern": "^(a+)+$"}}});
    assert_eq!(validate(&schema, &json!({"a": format!("{}!", "a".repeat(50_000))})).len(), 1);
}

#[test]
fn forks_that_double_at_each_level_are_not_followed() {
    let fork = json!({"anyOf": [{"$ref": "#/$defs/n"}, {"$ref": "#/$defs/n"}]});
    let schema = json!({
        "$ref": "#/$defs/n",
        "$defs": {"n": {"type": "object", "properties": {"a": fork}}}
    });
    let deep = |levels: usize| (0..levels).fold(json!(1), |inner, _| json!({"a": inner}));
    assert_eq!(validate(&schema, &deep(4)).len(), 1);
    insta::assert_snapshot!(
        [50, 100].map(|levels| lines(&validate(&schema, &deep(levels))).join("\n")).join("\n")
    );
}

#[test]
fn long_lists_are_judged_under_a_schema_with_references() {
    let schema = json!({
        "type": "object",
        "properties": {"list": {"type": "array", "items": {"$ref": "#/$defs/n"}}},
        "$defs": {"n": {"type": "integer"}}
    });
    let list: Vec<u32> = (0..100_000).collect();
    assert_eq!(validate(&schema, &json!({"list": list})), vec![]);
}

#[test]
fn the_texts_of_one_value_share_the_steps() {
    // 12,500 steps per byte: a text of 4 KB takes a tenth of what a value is allowed.
    let schema = json!({
        "type": "object",
        "properties": {"list": {"type": "array", "items": {"pattern": "^(a?){2500}$"}}}
    });
    let texts = |many: usize| json!({"list": vec!["b".repeat(4096); many]});
    assert!(lines(&validate(&schema, &texts(2)))[0].starts_with("input.list[0]: must match the pattern"));
    assert_eq!(
        lines(&validate(&schema, &texts(2000))),
        ["input.list[10]: takes too long to check: this is too much text for the patterns of its schema"]
    );
}

#[test]
fn names_are_bounded_as_texts_are() {
    let pattern = "^(a?){2500}$";
    let schemas = [
        json!({"properties": {"map": {"patternProperties": {pattern: {}}}}}),
        json!({"properties": {"map": {"patternProperties": {pattern: {}}, "additionalProperties": false}}}),
        json!({"properties": {"map": {"patternProperties": {pattern: {}}, "unevaluatedProperties": false}}}),
        json!({"properties": {"map": {"propertyNames": {"pattern": pattern}}}}),
    ];
    let named = |name: &str, many: usize| {
        let names = (0..many).map(|index| (format!("{name}{index}"), json!(1)));
        json!({"map": names.collect::<Map<_, _>>()})
    };
    for schema in &schemas {
        let told = lines(&validate(schema, &named(&"b".repeat(60_000), 1)));
        assert!(
            told[0].starts_with("input.map: ") && told[0].contains("bytes: its pattern is large"),
            "{told:?}"
        );
        let told = lines(&validate(schema, &named(&"b".repeat(1000), 2000)));
        assert!(told[0].starts_with("input.map: takes too long to check"), "{told:?}");
    }
    // Ordinary patterns take many long names.
    let schema =
        json!({"patternProperties": {"^[a-z0-9]+$": {"type": "integer"}}, "additionalProperties": false});
    let many: Map<_, _> = (0..2000).map(|index| (format!("{}{index}", "b".repeat(1000)), json!(1))).collect();
    assert_eq!(validate(&schema, &many.into()), vec![]);
    assert_eq!(lines(&validate(&schema, &json!({"a": "x"}))), ["input.a: must be a whole number"]);
}

#[test]
fn only_the_values_of_names_that_match_are_counted() {
    let schema = json!({
        "properties": {"text": {"type": "string"}},
        "patternProperties": {"^dense": {"pattern": "(a?){2500}"}, "^free": {}},
        "additionalProperties": {"pattern": "(a?){2500}"}
    });
    let text = "b".repeat(1_000_000);
    assert_eq!(validate(&schema, &json!({"text": text, "free": text})), vec![]);
    for name in ["dense", "other"] {
        let told = lines(&validate(&schema, &json!({name: text})));
        assert!(told[0].starts_with(&format!("input.{name}: must have at most ")), "{told:?}");
    }
}

#[test]
fn patterns_for_names_count_twice() {
    let shelf = Shelf::default();
    let bytes = |schema: Value| Judge::of(&Arc::new(schema), &mut shelf.pattern_budget()).unwrap().bytes();
    let text = bytes(json!({"pattern": "\\p{L}{20}"}));
    assert_eq!(bytes(json!({"patternProperties": {"\\p{L}{20}": {}}})), 2 * text);
    let thrice = json!({"pattern": "\\p{L}{20}", "items": {"patternProperties": {"\\p{L}{20}": {}}}, "not": {"pattern": "\\p{L}{20}"}});
    assert_eq!(bytes(thrice), 2 * text);
}

#[test]
fn branches_that_unevaluated_properties_visit_again_are_counted() {
    let nested = |levels| {
        (0..levels).fold(
            json!({"properties": {"a": {}}}),
            |inner, _| json!({"anyOf": [inner], "unevaluatedProperties": false}),
        )
    };
    assert_eq!(validate(&nested(3), &json!({"a": 1})), vec![]);
    assert_eq!(lines(&validate(&nested(40), &json!({"a": 1}))).len(), 1);
}

/// The answer of `ask`, on another thread; none if it does not come in time.
fn answer<T: Send + 'static>(within: Duration, ask: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (tell, told) = mpsc::channel();
    thread::spawn(move || tell.send(ask()));
    told.recv_timeout(within).ok()
}

#[test]
fn whether_a_schema_is_slow_is_known_while_it_is_compiled() {
    let schema = Arc::new(Schema::shelved(&json!({"pattern": "^a$"}), &Arc::default()).unwrap());
    assert!(schema.is_slow(), "its pattern is not compiled yet");
    let Kept::Shelved { last, .. } = &schema.0 else { panic!("it has patterns") };
    let compiling = last.lock().unwrap();
    let asked = schema.clone();
    assert_eq!(answer(Duration::from_secs(10), move || asked.is_slow()), Some(true));
    drop(compiling);
    let first = schema.problems(&json!("a"), "input");
    assert_eq!((first, schema.is_slow()), (vec![], false), "a small pattern takes no time");
}

#[test]
fn a_pattern_that_takes_long_per_byte_is_slow() {
    let schema = Schema::new(&json!({"pattern": "^(a?){2500}$"})).unwrap();
    assert!(schema.is_slow());
}

#[test]
fn schemas_without_patterns_do_not_wait_while_others_are_compiled() {
    let shelf = Arc::new(Shelf::default());
    let budget = shelf.pattern_budget();
    let _compiling = budget.compiling.lock().unwrap();
    let others = shelf.clone();
    let told = answer(Duration::from_secs(10), move || {
        let schema = Schema::shelved(&json!({"type": "integer"}), &others).unwrap();
        schema.problems(&json!("x"), "input").len()
    });
    assert_eq!(told, Some(1));
    let others = shelf.clone();
    let compiled =
        answer(Duration::from_millis(100), move || Schema::held(&json!({"pattern": "a"}), &others).is_ok());
    assert_eq!(compiled, None, "patterns are compiled by one at a time");
}

#[test]
fn a_shelf_gives_back_first_what_was_not_used_for_longest() {
    let shelf = Arc::new(Shelf::holding(4 << 20));
    let [often, seldom, ..] =
        &*(0..5).map(|_| Schema::shelved(&unicode(1, 20), &shelf).unwrap()).collect::<Vec<_>>()
    else {
        panic!("there are five")
    };
    let use_once = |schema: &Schema| assert_eq!(schema.problems(&json!({"p0": "x"}), "input").len(), 1);
    use_once(often);
    let first = compiled(often);
    use_once(seldom);
    for _ in 0..3 {
        use_once(&Schema::shelved(&unicode(1, 20), &shelf).unwrap());
        use_once(often);
    }
    assert!(first.upgrade().is_some(), "what is used often is compiled once");
    assert!(compiled(seldom).upgrade().is_none());
}

#[test]
fn a_schema_too_large_for_a_shelf_leaves_the_others_there() {
    let shelf = Arc::new(Shelf::holding(4 << 20));
    let small = Schema::shelved(&unicode(1, 20), &shelf).unwrap();
    let large = Schema::shelved(&unicode(1, 80), &shelf).unwrap();
    for schema in [&small, &large] {
        assert_eq!(schema.problems(&json!({"p0": "x"}), "input").len(), 1);
    }
    assert_eq!([&small, &large].map(|schema| compiled(schema).upgrade().is_some()), [true, false]);
}

fn compiled(schema: &Schema) -> Weak<Judge> {
    let Kept::Shelved { last, .. } = &schema.0 else { panic!("it has patterns") };
    last.lock().unwrap().clone()
}
