//! forEach: lists known only at run time, concurrent items, failed items, restarts, long logs.

use super::{FAN, output, template};
use crate::stage::{Stage, status};
use domain::error::ErrorClass;
use domain::event::EventKind;
use domain::run::{RunState, RunStatus, StepStatus};
use scripted::{Entry, Fault, Rule};
use serde_json::{Value, json};
use std::time::Duration;

/// How many answers to such questions were in progress at the same time.
fn most_at_once(ledger: &[Entry], question: &str) -> usize {
    let spans: Vec<_> = ledger
        .iter()
        .filter(|entry| entry.last_user().starts_with(question))
        .map(|entry| (entry.received_at, entry.ended_at.unwrap()))
        .collect();
    let open_at = |at: u64| spans.iter().filter(|(from, to)| (*from..*to).contains(&at)).count();
    spans.iter().map(|(from, _)| open_at(*from)).max().unwrap_or(0)
}

/// C2, E4: items known only at run time run concurrently, within the limit, and their outputs keep their order.
#[tokio::test]
async fn items_found_by_an_earlier_step_run_side_by_side() {
    let stage = Stage::new().await;
    stage.models.script(vec![
        Rule::text(r#"["a", "b", "c", "d", "e"]"#).last_user("LIST"),
        Rule::text("{{last_user}}").last_user("JOIN"),
        // The first item answers last.
        Rule::text("{{last_user}}!").last_user("EACH 0").first_token(Duration::from_millis(300)),
        Rule::text("{{last_user}}!").last_user("EACH").first_token(Duration::from_millis(20)),
    ]);
    let detail = stage.run(&template("fan", FAN), json!({})).await;
    let joined = output(&stage, &detail).await;
    assert_eq!(joined, "JOIN EACH 0 a!+EACH 1 b!+EACH 2 c!+EACH 3 d!+EACH 4 e!");
    let items = detail.state.steps[1].item_runs();
    assert_eq!(items.len(), 5);
    assert!(items.iter().all(|run| run.status == StepStatus::Completed && run.attempts.len() == 1));
    assert_eq!(most_at_once(&stage.models.ledger(), "EACH"), 2);
    let message = stage.metadata(&detail).await;
    let counts = message.orchestration_status.steps[1].items.unwrap();
    assert_eq!((counts.total, counts.completed, counts.failed), (5, 5, 0));
}

#[tokio::test]
async fn a_list_that_is_empty_none_or_too_long_is_said_at_its_step() {
    let stage = Stage::new().await;
    let each = |items: &str| {
        let key: String = items.chars().filter(char::is_ascii_lowercase).collect();
        template(
            &format!("k{key}{}", items.len()),
            &format!("  - name: Each\n    forEach: \"{items}\"\n    prompt: x\n"),
        )
    };
    let detail = stage.run(&each("[]"), json!({})).await;
    assert_eq!(status(&detail), RunStatus::Completed);
    assert_eq!(output(&stage, &detail).await, "[]");
    for (items, part) in [
        ("'text'", "its forEach: gives a text, not a list"),
        ("range(1001) | list", "gives 1001 items; a step runs for at most 1000"),
        ("range(1000000) | list", "its forEach: "),
        ("context.input.missing", "its forEach: "),
    ] {
        let detail = stage.run(&each(items), json!({})).await;
        assert_eq!(status(&detail), RunStatus::Failed, "{items}");
        let error = detail.state.error.unwrap();
        assert_eq!(error.step.as_deref(), Some("Each"));
        assert!(error.error.message.contains(part), "{}", error.error.message);
    }
    assert!(stage.models.ledger().is_empty());
}

/// DESIGN section 5: the other items run first; then the step fails, or continues without the failed ones.
#[tokio::test]
async fn one_failed_item_lets_the_others_run() {
    let stage = Stage::new().await;
    stage.models.script(vec![Rule::fault(Fault::status(401)).last_user("EACH 1")]);
    let source = template(
        "strict",
        "  - {name: Each, forEach: '[10, 11, 12]', maxParallel: 1, prompt: 'EACH {{ index }} {{ item }}'}\n",
    );
    let detail = stage.run(&source, json!({})).await;
    assert_eq!(status(&detail), RunStatus::Failed);
    let statuses: Vec<_> = detail.state.steps[0].item_runs().iter().map(|run| run.status).collect();
    assert_eq!(statuses, [StepStatus::Completed, StepStatus::Failed, StepStatus::Completed]);
    let error = detail.state.error.clone().unwrap().error;
    assert_eq!(error.class, ErrorClass::Auth);
    assert!(error.message.contains("1 of 3 items failed, item 1: "), "{}", error.message);

    let lenient = source.replace("strict", "lenient").replace("prompt:", "onFailure: continue, prompt:");
    let detail = stage.run(&lenient, json!({})).await;
    assert_eq!(status(&detail), RunStatus::Completed);
    let output: Value = serde_json::from_str(&output(&stage, &detail).await).unwrap();
    assert_eq!(output, json!(["EACH 0 10", null, "EACH 2 12"]));
    assert_eq!(detail.state.warnings.len(), 2, "{:?}", detail.state.warnings);
}

/// After a kill in the middle of a fan-out no finished item is called again.
#[tokio::test]
async fn a_restart_in_the_middle_of_a_fan_out_calls_no_finished_item_again() {
    let mut stage = Stage::new().await;
    stage.models.script(vec![
        Rule::text(r#"["a", "b", "c", "d"]"#).last_user("LIST"),
        Rule::text("{{last_user}}").last_user("EACH 2").hold(0),
    ]);
    let key = stage.template(&template("fan", FAN)).await;
    let launched = stage.launch(&key, json!({})).await;
    stage
        .until(launched.run, |event| match &event.kind {
            EventKind::Finished { step, .. } => (step.item == Some(3)).then_some(()),
            _ => None,
        })
        .await;
    stage.until_answering(1).await;
    stage.models.script(Vec::new());
    stage = stage.restart().await;
    let detail = stage.end(launched.run).await;
    assert_eq!(output(&stage, &detail).await, "JOIN EACH 0 a+EACH 1 b+EACH 2 c+EACH 3 d");
    let attempts: Vec<_> = detail.state.steps[1].item_runs().iter().map(|run| run.attempts.len()).collect();
    assert_eq!(attempts, [1, 1, 2, 1]);
}

/// A long log is folded once: its snapshot and the events after it give the same state.
#[tokio::test]
async fn a_long_log_is_opened_from_its_snapshot() {
    let mut stage = Stage::new().await;
    let source =
        template("wide", "  - {name: Each, forEach: 'range(380) | list', prompt: 'EACH {{ index }}'}\n");
    let detail = stage.run(&source, json!({})).await;
    let run = detail.summary.number;
    let mut cursor = 0;
    let mut events = Vec::new();
    while let page = stage.engine.events(&stage.admin, &stage.project, run, cursor).await.unwrap()
        && let Some(last) = page.items.last()
    {
        cursor = last.seq;
        events.extend(page.items);
    }
    assert!(events.len() > 1_500);
    assert_eq!(RunState::replay(&events), detail.state);
    // The snapshot is written in the background; it is stored by the time the engine has stopped.
    stage = stage
        .restart_after(async |data| {
            let db = sqlx::SqlitePool::connect(&format!("sqlite://{}", data.join("troupe.db").display()))
                .await
                .unwrap();
            let kept: i64 = sqlx::query_scalar("SELECT seq FROM snapshot").fetch_one(&db).await.unwrap();
            assert_eq!(kept, events.len() as i64);
            // From here on only the snapshot can be read, because the events before it are gone.
            sqlx::query("DELETE FROM event WHERE seq < $1").bind(kept).execute(&db).await.unwrap();
            db.close().await;
        })
        .await;
    assert_eq!(stage.detail(run).await.state, detail.state);
}
