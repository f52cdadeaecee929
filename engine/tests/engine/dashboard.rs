//! E8: the current activity of a project.

use crate::stage::{Stage, THREE_STEPS, assign, code};
use domain::{
    run::RunStatus,
    view::{Outcomes, StepCounts},
};
use scripted::{Fault, Rule};
use serde_json::json;

#[tokio::test]
async fn live_runs_say_where_they_are_and_who_works() {
    let stage = Stage::alone().await;
    stage.limit_provider(1).await;
    stage.models.script(vec![
        Rule::text("found").last_user("ANALYZE"),
        Rule::text("slow").last_user("REPORT").hold(0),
    ]);
    let key = stage.template(THREE_STEPS).await;
    let launch = engine::Launch {
        input: code(),
        role_assignments: assign(&[("Report", "senior")]),
        ..engine::Launch::default()
    };
    let working = stage.try_launch(&key, launch).await.unwrap();
    stage.until_answering(1).await;
    let asks = stage
        .template("{apiVersion: troupe/v1, key: asks, name: Asks, steps: [{name: Check, uses: approval}]}")
        .await;
    let asking = stage.launch(&asks, json!({})).await;
    stage.until_waiting(asking.run).await;
    let queued = stage.launch(&key, code()).await;
    stage.until_queued(1).await;

    let (engine, admin, project) = (&stage.engine, &stage.admin, &stage.project);
    // A message's metadata lags its run by at most a second.
    let shown = tokio::time::timeout(crate::stage::PATIENCE, async {
        loop {
            let shown = engine.dashboard(admin, project).await.unwrap();
            if shown.runs.iter().any(|run| run.steps.done == 1) {
                return shown;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    });
    let shown = shown.await.expect("the first step is done");
    let places: Vec<_> =
        shown.runs.iter().map(|live| (live.run.number, live.run.status, live.step.as_deref())).collect();
    assert_eq!(
        places,
        [
            (queued.run, RunStatus::Queued, Some("Analyze")),
            (asking.run, RunStatus::Waiting, Some("Check")),
            (working.run, RunStatus::Running, Some("Report")),
        ]
    );
    assert_eq!((shown.live, shown.last_hour), (3, Outcomes::default()));
    assert_eq!(shown.runs[2].steps, StepCounts { total: 3, done: 1, running: 1, ..StepCounts::default() });
    assert_eq!(shown.runs[2].role.as_ref().map(|role| role.as_str()), Some("senior"));
    let [provider] = shown.providers.as_slice() else { panic!("{:?}", shown.providers) };
    assert_eq!((provider.active, provider.queued, provider.most), (1, 1, 1));

    for run in [working.run, asking.run, queued.run] {
        stage.cancel(run).await;
    }
    stage.models.script(vec![Rule::fault(Fault::Empty).last_user("ANALYZE").times(1)]);
    for _ in 0..2 {
        let launched = stage.launch(&key, code()).await;
        stage.end(launched.run).await;
    }
    let shown = engine.dashboard(admin, project).await.unwrap();
    assert_eq!((shown.live, shown.runs.len()), (0, 0));
    assert_eq!(shown.last_hour, Outcomes { completed: 1, failed: 1, cancelled: 3 });
}
