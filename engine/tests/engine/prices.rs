//! Costs of runs and estimates for launches: at the prices at which a run began, and only if all of them are known.

use crate::stage::{Stage, THREE_STEPS, assign, code, status};
use domain::{
    key::ModelName,
    price::{Money, Price, Rate},
    run::RunStatus,
    view::Estimate,
};
use engine::{Error, Launch};
use scripted::Rule;

/// Dollars per million tokens.
fn price(input: u64, output: u64) -> Option<Price> {
    Some(Price { input: Rate(input * 1_000_000), output: Rate(output * 1_000_000) })
}

fn model(name: &str) -> ModelName {
    ModelName::parse(name).unwrap()
}

#[tokio::test]
async fn a_run_costs_what_its_models_cost_when_it_began() {
    let stage = Stage::new().await;
    let Stage { engine, admin, .. } = &stage;
    stage.models.script(vec![Rule::text("fine").usage(1_000, 100)]);
    let key = stage.template(THREE_STEPS).await;
    let first = stage.launch(&key, code()).await;
    let first = stage.end(first.run).await;
    assert_eq!(status(&first), RunStatus::Completed);
    assert_eq!(first.summary.usage.cost, None, "nobody has said a price");

    engine.set_price(admin, model("scripted/general_worker-model"), price(2, 10)).await.unwrap();
    let second = stage.launch(&key, code()).await;
    let second = stage.end(second.run).await;
    // 3 × (1,000 × $2 + 100 × $10) per million.
    assert_eq!(second.summary.usage.cost, Some(Money(9_000_000)));
    assert_eq!(second.state.steps[0].usage.cost, Some(Money(3_000_000)));

    // A higher price now: past runs keep their cost, even when read again from the database.
    engine.set_price(admin, model("scripted/general_worker-model"), price(20, 100)).await.unwrap();
    assert_eq!(stage.detail(second.summary.number).await.summary.usage.cost, Some(Money(9_000_000)));
    let list = engine.runs(admin, &stage.project, &Default::default(), None).await.unwrap().items;
    let costs: Vec<_> = list.iter().map(|run| run.usage.cost).collect();
    assert_eq!(costs, [Some(Money(9_000_000)), None]);

    // If one step's model has no price, the total is unknown.
    let launch =
        Launch { input: code(), role_assignments: assign(&[("Report", "senior")]), ..Launch::default() };
    let third = stage.try_launch(&key, launch).await.unwrap();
    let third = stage.end(third.run).await;
    assert_eq!(third.summary.usage.cost, None);
    assert_eq!(third.state.steps[0].usage.cost, Some(Money(30_000_000)));
    assert_eq!(third.state.steps[1].usage.cost, None);
}

#[tokio::test]
async fn a_launch_may_take_what_past_runs_took() {
    let stage = Stage::new().await;
    let Stage { engine, admin, project, .. } = &stage;
    let key = stage.template(THREE_STEPS).await;
    let launch = Launch { input: code(), ..Launch::default() };
    let estimate =
        async |launch: &Launch| engine.preview(admin, project, &key, launch).await.unwrap().estimate;
    assert_eq!(estimate(&launch).await, None, "there is nothing to go by");

    for tokens in [100, 90_000, 200] {
        stage.models.script(vec![Rule::text("fine").usage(tokens, 10)]);
        let run = stage.launch(&key, code()).await.run;
        assert_eq!(status(&stage.end(run).await), RunStatus::Completed);
    }
    let Some(Estimate { runs, usage }) = estimate(&launch).await else { panic!("three runs say nothing") };
    assert_eq!((runs, usage.input_tokens, usage.output_tokens, usage.cost), (3, 600, 30, None));

    engine.set_price(admin, model("scripted/general_worker-model"), price(1, 10)).await.unwrap();
    let priced = estimate(&launch).await.and_then(|estimate| estimate.usage.cost);
    assert_eq!(priced, Some(Money(900_000)));
    // The price is that of the model that would execute the step.
    let other = Launch { role_assignments: assign(&[("Report", "senior")]), ..launch.clone() };
    assert_eq!(estimate(&other).await.map(|estimate| estimate.usage.cost), Some(None));
    engine.set_price(admin, model("scripted/senior-model"), price(0, 0)).await.unwrap();
    assert_eq!(estimate(&other).await.and_then(|estimate| estimate.usage.cost), Some(Money(600_000)));
}

#[tokio::test]
async fn prices_are_kept_by_admins_alone() {
    let stage = Stage::new().await;
    let Stage { engine, admin, .. } = &stage;
    let mut other = admin.clone();
    other.admin = false;
    let senior = model("scripted/senior-model");
    assert!(matches!(engine.set_price(&other, senior.clone(), price(1, 1)).await, Err(Error::AdminsOnly)));
    assert!(matches!(engine.prices(&other).await, Err(Error::AdminsOnly)));
    engine.set_price(admin, senior.clone(), price(1, 2)).await.unwrap();
    let all = engine.prices(admin).await.unwrap();
    let said: Vec<_> = all.iter().map(|one| (one.model.to_string(), one.price)).collect();
    assert_eq!(
        said,
        [
            ("scripted/general_worker-model".to_owned(), None),
            ("scripted/senior-model".to_owned(), price(1, 2))
        ]
    );
    engine.set_price(admin, senior, None).await.unwrap();
    assert!(engine.prices(admin).await.unwrap().iter().all(|one| one.price.is_none()));
}
