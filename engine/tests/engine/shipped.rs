//! The templates that come with the product, with a model that answers each step as required.

use crate::stage::{Stage, status};
use domain::{
    file::FilePath,
    plan::Plan,
    run::{RunStatus, StepStatus},
    template::{self, Format, shipped},
};
use engine::Launch;
use scripted::Rule;
use serde_json::{Value, json};
use std::time::Duration;

fn plan(source: &str) -> Plan {
    let checked = template::check(source, Format::Yaml);
    assert!(checked.problems.is_empty(), "{:?}", checked.problems);
    assert_eq!(template::unsupported(&checked.template.unwrap()), None);
    checked.plan.unwrap()
}

#[test]
fn each_can_be_run() {
    for source in shipped::DEMO.iter().chain([&shipped::ASK]) {
        assert!(!plan(source).steps.is_empty());
    }
}

/// E4: eight steps at once, one that depends on one of them, and one per item of a list in another's output.
#[tokio::test]
async fn the_construction_plan_goes_in_waves() {
    let stage = Stage::new().await;
    let wave: Vec<_> = plan(shipped::CONSTRUCTION_PLAN).steps.iter().map(|step| step.wave).collect();
    assert_eq!(wave, [0, 0, 0, 0, 0, 0, 0, 0, 1, 1]);
    let pqp = json!({"plan": "Check everything.", "itps": ["Concrete", "Steel", "Earthworks"]});
    let wbs = json!({"packages": [{"code": "1", "title": "Foundations"}]});
    stage.models.script(vec![
        Rule::text(pqp.to_string()).last_user("quality plan").first_token(Duration::from_millis(50)),
        Rule::text(wbs.to_string()).last_user("Break the work down").first_token(Duration::from_millis(50)),
        Rule::text("ITP by {{model}}").last_user("inspection and test plan \""),
        Rule::text("{{model}}").first_token(Duration::from_millis(50)),
    ]);
    let detail = stage.run(shipped::CONSTRUCTION_PLAN, json!({"project": "A bridge"})).await;
    assert_eq!(status(&detail), RunStatus::Completed, "{:?}", detail.state.error);
    let steps = &detail.state.steps;
    assert_eq!(steps[9].item_runs().len(), 3);
    let began = |step: usize| steps[step].started_at().unwrap();
    let ended = |step: usize| steps[step].finished_at().unwrap();
    let first_end = (0..8).map(ended).min().unwrap();
    assert!((0..8).all(|step| began(step) <= first_end), "eight at once");
    assert!(began(8) >= ended(3), "LBS after WBS");
    assert!([2, 3, 4].iter().all(|&step| began(9) >= ended(step)), "ITP after Standards, WBS and PQP");
    let output = detail.state.output.as_ref().unwrap();
    let text = stage.content(detail.summary.number, output.text.id).await;
    assert!(
        text.contains("### Steel\n\nITP by general_worker-model") && text.contains("- 1 Foundations"),
        "{text}"
    );
}

#[tokio::test]
async fn data_that_cannot_be_used_is_not_processed() {
    let stage = Stage::new().await;
    let key = stage.template(shipped::DATA_PROCESSING).await;
    let judged =
        |usable: bool| json!({"format": "csv", "usable": usable, "problems": ["no header"]}).to_string();
    let records = json!({"records": [{"name": "a", "value": "1"}, {"name": "b", "value": "2"}]});
    let file =
        json!({"files": [{"path": "result.csv", "content": "name,value\na,1\nb,2\n"}], "summary": "Done."});
    let rest = [
        Rule::text(records.to_string()).last_user("Rewrite it as records"),
        Rule::text(file.to_string()).last_user("result.csv"),
    ];
    stage
        .models
        .script([vec![Rule::text(judged(true)).last_user("Look at this data")], rest.to_vec()].concat());
    let launched = stage.launch(&key, json!({"data": "a,1\nb,2"})).await;
    let detail = stage.end(launched.run).await;
    let shown = &detail.state.output.as_ref().unwrap().shown;
    assert_eq!(shown, "Done.\n\n2 records were stored in result.csv.");
    let path = FilePath::parse("result.csv").unwrap();
    let stored = stage.engine.file(&stage.admin, &stage.project, launched.run, &path, None).await.unwrap();
    assert_eq!(stored.text, "name,value\na,1\nb,2\n");

    stage.models.script(vec![Rule::text(judged(false))]);
    let launched = stage.launch(&key, json!({"data": "?"})).await;
    let detail = stage.end(launched.run).await;
    assert_eq!(detail.state.output.as_ref().unwrap().shown, "The data cannot be used: no header");
    let skipped = detail.state.steps[1..].iter().all(|step| step.status == StepStatus::Skipped);
    assert!(skipped);
}

/// A7: create a calculator, then "add multiply" edits it.
#[tokio::test]
async fn the_file_builder_makes_a_calculator_and_edits_it() {
    let stage = Stage::new().await;
    let key = stage.template(shipped::FILE_BUILDER).await;
    let file = |change: Value| json!({"files": [change], "summary": "Done."}).to_string();
    let edits = json!([{"search": "</select>", "replace": "<option>*</option></select>"}]);
    let page = "<select><option>+</option></select>";
    stage.models.script(vec![
        Rule::text(file(json!({"path": "calculator.html", "content": page}))).last_user("a calculator"),
        Rule::text(file(json!({"path": "calculator.html", "edits": edits}))).last_user("add multiply"),
    ]);
    let first = stage.launch(&key, json!({"wish": "a calculator"})).await;
    stage.end(first.run).await;
    let input = json!({"wish": "add multiply"});
    let launch = Launch { input, task_id: Some(first.task_id), ..Launch::default() };
    let second = stage.try_launch(&key, launch).await.unwrap();
    stage.end(second.run).await;
    let path = FilePath::parse("calculator.html").unwrap();
    let file = stage.engine.file(&stage.admin, &stage.project, second.run, &path, None).await.unwrap();
    assert_eq!(file.text, "<select><option>+</option><option>*</option></select>");
    assert_eq!(file.file.version, 2);
}
