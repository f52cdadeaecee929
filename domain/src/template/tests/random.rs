use proptest::collection::{btree_set, vec};
use proptest::option;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::super::{API_VERSION, Format, Step, StepType, Template, Uses, check, compile, parse};
use crate::key::TemplateKey;
use crate::plan::{OnFailure, Plan};

/// Texts that are hard for YAML: look-alikes of other types, indicators, spaces at the ends, all kinds of line breaks.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => "[a-zA-Z ]{0,20}",
        2 => "\\PC{0,30}",
        2 => r#"[ \t\n\r:#\-?*&!|>'"%@`{}\[\],=~.0-9a-z]{0,40}"#,
        1 => ".{0,10}",
        1 => prop::sample::select(vec![
            "", " ", "~", "null", "true", "No", "1", "0x1F", "1e3", ".inf", "---", "- a", "a: b", "# c", "\n", "a\n\n", "\na",
            "  a\n b", "a\n \n", "a\r\nb", "\ttab", "a\u{85}b", "\u{2028}", "\u{feff}x", "'", "\"", "\\", "a #b", "2024-01-01",
        ]).prop_map(str::to_owned),
    ]
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-1e9..1e9f64).prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            vec((text(), inner), 0..4).prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}

fn mapping() -> impl Strategy<Value = Map<String, Value>> {
    vec(("[a-z ]{0,5}[a-z]", any_json()), 0..3).prop_map(|entries| entries.into_iter().collect())
}

fn filled() -> impl Strategy<Value = String> {
    text().prop_filter("not empty", |text| !text.trim().is_empty())
}

prop_compose! {
    fn any_step()(
        texts in (option::of(text()), option::of(text()), option::of(filled()), option::of(filled()), option::of(filled())),
        flow in (option::of(any::<i64>()), option::of(vec(text(), 0..3)), option::of(0..3u8)),
        limits in (option::of(1..=u32::MAX), 0..=100u32, option::of(1..=2_592_000_000u64)),
        maps in (mapping(), mapping(), option::of(mapping())),
        rest in (any::<bool>(), any::<bool>(), option::of(any_json().prop_filter("null is absence", |v| !v.is_null())),
                 vec("[a-z./_-]{1,9}", 0..3), option::of(0..3u8)),
    ) -> Step {
        Step {
            name: String::new(),
            description: texts.0,
            prompt: texts.1,
            order: flow.0,
            step_type: flow.2.map(|n| [StepType::Sequential, StepType::Parallel, StepType::Conditional][usize::from(n)]),
            depends_on: flow.1,
            parallel_group: texts.2,
            condition: texts.3,
            for_each: texts.4,
            max_parallel: limits.0,
            input_mapping: maps.0,
            output_mapping: maps.1,
            output_schema: rest.2,
            uses: rest.4.map(|n| [Uses::Agent, Uses::Tool("a/b.c".into()), Uses::Approval][usize::from(n)].clone()),
            with: maps.2,
            tools: rest.3,
            max_retries: limits.1,
            timeout: limits.2,
            on_failure: if rest.0 { OnFailure::Continue } else { OnFailure::Fail },
            idempotent: rest.1,
        }
    }
}

fn named(steps: Vec<Step>) -> Template {
    let steps = (1..).zip(steps).map(|(n, step)| Step { name: format!("S{n}"), ..step }).collect();
    Template {
        api_version: API_VERSION.into(),
        key: TemplateKey::from_title("random"),
        name: "Random".into(),
        description: None,
        input: None,
        output: None,
        steps,
    }
}

/// Edges between `n` steps: each step's candidates as indexes below `n`.
fn graph(edges: &[Vec<usize>]) -> Template {
    let step = |before: &Vec<usize>| Step {
        depends_on: Some(before.iter().map(|index| format!("S{}", index % edges.len() + 1)).collect()),
        ..Step::default()
    };
    named(edges.iter().map(step).collect())
}

fn assert_sound(plan: &Plan) {
    for step in &plan.steps {
        let deepest = step.depends_on.iter().map(|&before| plan.steps[before as usize].wave + 1).max();
        assert_eq!(step.wave, deepest.unwrap_or(0));
        assert!(step.depends_on.windows(2).all(|pair| pair[0] < pair[1]));
    }
}

proptest! {
    #[test]
    fn no_text_makes_reading_panic(source in "\\PC{0,200}") {
        check(&source, Format::Yaml);
        check(&source, Format::Json);
    }

    #[test]
    fn no_yaml_makes_reading_panic(
        source in r#"(apiVersion: troupe/v1|steps:|name|key|prompt|dependsOn|- |[:\[\]{},&*!|>'"%\n #?~-]|\n {1,4}|[a-c0-9]|\{\{ context\['A'\] \}\}){0,40}"#
    ) {
        check(&source, Format::Yaml);
        check(&source, Format::Json);
    }

    #[test]
    fn what_is_written_reads_back(
        steps in vec(any_step(), 1..4),
        head in (option::of(text()), option::of(any_json().prop_filter("null is absence", |v| !v.is_null())), option::of(text())),
    ) {
        let template = Template { description: head.0, input: head.1, output: head.2, ..named(steps) };
        let yaml = template.to_yaml();
        prop_assert_eq!(parse(&yaml, Format::Yaml), Ok(template.clone()), "{}", yaml);
        prop_assert_eq!(parse(&template.to_json(), Format::Json), Ok(template.clone()));
        let value = serde_json::to_value(&template).unwrap();
        prop_assert_eq!(serde_json::from_value::<Template>(value).unwrap(), template);
    }

    #[test]
    fn graphs_that_look_back_compile_as_written(
        edges in vec(btree_set(0..30usize, 0..5), 1..30)
    ) {
        let edges: Vec<Vec<usize>> =
            edges.into_iter().enumerate().map(|(at, set)| set.into_iter().filter(|n| *n < at).collect()).collect();
        let plan = compile(&graph(&edges)).unwrap();
        assert_sound(&plan);
        for (step, before) in plan.steps.iter().zip(&edges) {
            let wanted: Vec<u32> = before.iter().map(|&n| u32::try_from(n).unwrap()).collect();
            prop_assert_eq!(&step.depends_on, &wanted);
        }
    }

    #[test]
    fn any_graph_compiles_or_names_a_cycle(edges in vec(vec(0..8usize, 0..3), 1..8)) {
        match compile(&graph(&edges)) {
            Ok(plan) => assert_sound(&plan),
            Err(problems) => {
                prop_assert_eq!(problems.len(), 1);
                let message = &problems[0].message;
                prop_assert!(message.contains("wait for each other") || message.contains("itself"), "{}", message);
            }
        }
    }

    #[test]
    fn orders_and_groups_make_a_sound_line(
        steps in vec((option::of(-3..6i64), option::of(0..3u8), option::of(0..3u8)), 1..20)
    ) {
        let types = [StepType::Sequential, StepType::Parallel];
        let steps: Vec<Step> = steps
            .into_iter()
            .map(|(order, group, kind)| Step {
                order,
                parallel_group: group.map(|n| format!("g{n}")),
                step_type: kind.and_then(|n| types.get(usize::from(n)).copied()),
                ..Step::default()
            })
            .collect();
        let plan = compile(&named(steps.clone())).unwrap();
        assert_sound(&plan);
        // Waves have no gaps, and each step depends on all steps of the previous wave.
        let waves = plan.steps.iter().map(|step| step.wave).max().unwrap();
        for wave in 1..=waves {
            let before: Vec<u32> =
                (0u32..).zip(&plan.steps).filter(|(_, s)| s.wave == wave - 1).map(|(index, _)| index).collect();
            prop_assert!(!before.is_empty());
            for step in plan.steps.iter().filter(|step| step.wave == wave) {
                prop_assert_eq!(&step.depends_on, &before);
            }
        }
        // A step of a smaller order never runs after one of a larger order.
        let order = |index: usize| steps[index].order.unwrap_or(i64::try_from(index).unwrap() + 1);
        for a in 0..steps.len() {
            for b in 0..steps.len() {
                if order(a) < order(b) {
                    prop_assert!(plan.steps[a].wave <= plan.steps[b].wave);
                }
            }
        }
    }

    #[test]
    fn a_plan_travels_as_json(edges in vec(btree_set(0..30usize, 0..5), 1..10)) {
        let edges: Vec<Vec<usize>> =
            edges.into_iter().enumerate().map(|(at, set)| set.into_iter().filter(|n| *n < at).collect()).collect();
        let plan = compile(&graph(&edges)).unwrap();
        let value = json!(plan);
        prop_assert_eq!(serde_json::from_value::<Plan>(value).unwrap(), plan);
    }
}
