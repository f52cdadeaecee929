//! Comparisons: runs that are launched together or grouped afterwards, and the verdicts on them.
//!
//! A comparison is identified by the numbers of its runs, separated by commas.

use super::{From, Items, json, runs::idempotency_key};
use crate::{
    AppState,
    extract::{Body, Caller, Path, Query, behind},
    problem::{ProblemDetails, Result},
    rest,
    router::Route,
};
use axum::{
    extract::State,
    http::{HeaderMap, StatusCode, header::LOCATION},
    response::{IntoResponse, Response},
};
use domain::{
    access::Permission,
    branch::Branch,
    comparison::MOST_COMPARED,
    id::{MessageId, RunNumber, TaskId},
    key::{ProjectKey, RoleKey, TemplateKey},
    problem::Problem,
    view::{Launched, User},
};
use engine::{Error, Launch, VerdictDraft};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

pub fn routes() -> Vec<Route> {
    vec![
        Route::post("/api/v1/projects/{project}/templates/{template}/compare", launch),
        Route::get("/api/v1/projects/{project}/comparisons", list),
        Route::post("/api/v1/projects/{project}/comparisons", keep),
        Route::get("/api/v1/projects/{project}/comparisons/totals", totals),
        Route::get("/api/v1/projects/{project}/comparisons/{runs}", show),
        Route::put("/api/v1/projects/{project}/comparisons/{runs}/verdict", judge),
        Route::delete("/api/v1/projects/{project}/comparisons/{runs}/verdict", withdraw),
    ]
}

/// One launch with several assignments.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SideBySide {
    #[serde(default)]
    input: Value,
    /// Two to four assignments, each from step names to role keys.
    assignments: Vec<BTreeMap<String, RoleKey>>,
    #[serde(default)]
    task_id: Option<TaskId>,
    #[serde(default)]
    branch: Option<Branch>,
    #[serde(default)]
    replaces: Option<MessageId>,
    #[serde(default)]
    idempotency_key: Option<String>,
}

#[derive(Serialize)]
struct Started {
    /// In the order of the assignments.
    launched: Vec<Launched>,
}

async fn launch(
    State(state): State<AppState>,
    Path((project, template)): Path<(ProjectKey, TemplateKey)>,
    Caller(user): Caller,
    headers: HeaderMap,
    body: Body,
) -> Result<Response> {
    let gate = state.engine.permits_template(&user, &project, &template, Permission::Editor);
    let sent = body.json().and_then(|asked: SideBySide| {
        Ok(SideBySide { idempotency_key: idempotency_key(&headers, asked.idempotency_key)?, ..asked })
    });
    let SideBySide { input, assignments, task_id, branch, replaces, idempotency_key } =
        behind(gate, sent).await?;
    let mut assignments = assignments.into_iter();
    let role_assignments = assignments.next().unwrap_or_default();
    let launch = Launch { input, role_assignments, task_id, branch, replaces, idempotency_key };
    let others = assignments.collect();
    let launched = state.engine.execute_side_by_side(&user, &project, &template, launch, others).await;
    let launched = launched.map_err(in_the_body)?;
    let mut runs: Vec<_> = launched.iter().map(|one| one.run).collect();
    runs.sort_unstable();
    let location = format!("/api/v1/projects/{project}/comparisons/{}", written(&runs));
    Ok(([(LOCATION, location)], json(StatusCode::ACCEPTED, Started { launched })).into_response())
}

/// Rewrites the paths of problems to match this interface's body.
fn in_the_body(error: Error) -> Error {
    let Error::Invalid(problems) = error else { return error };
    let place = |problem: Problem| {
        let (nth, rest) = match problem.path.strip_prefix("others.").and_then(|path| path.split_once('.')) {
            Some((nth, rest)) => (nth.parse().map_or(0, |nth: usize| nth + 1), rest),
            None => (0, problem.path.as_str()),
        };
        let path = match rest.strip_prefix("roleAssignments") {
            Some(step) => format!("assignments.{nth}{step}"),
            None if rest == "others" => "assignments".to_owned(),
            None => problem.path.clone(),
        };
        Problem { path, ..problem }
    };
    Error::Invalid(problems.into_iter().map(place).collect())
}

async fn list(
    State(state): State<AppState>,
    Path(project): Path<ProjectKey>,
    Query(from): Query<From>,
    Caller(user): Caller,
) -> Result<Response> {
    let page = state.engine.comparisons(&user, &project, from.cursor.as_deref()).await?;
    Ok(json(StatusCode::OK, Items::of(page, rest::ComparisonEntry::from)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Runs {
    runs: Vec<RunNumber>,
}

/// 201 if the comparison is new, 200 if it existed.
async fn keep(
    State(state): State<AppState>,
    Path(project): Path<ProjectKey>,
    Caller(user): Caller,
    body: Body,
) -> Result<Response> {
    let gate = state.engine.permits(&user, &project, Permission::Editor);
    let Runs { runs } = behind(gate, body.json()).await?;
    let runs = once(runs);
    let new = state.engine.keep_comparison(&user, &project, &runs).await?;
    let status = if new { StatusCode::CREATED } else { StatusCode::OK };
    let location = format!("/api/v1/projects/{project}/comparisons/{}", written(&runs));
    let comparison = compared(&state, &user, &project, &runs).await?;
    Ok(([(LOCATION, location)], json(status, comparison)).into_response())
}

/// The runs in the order of the URL.
async fn show(
    State(state): State<AppState>,
    Path((project, runs)): Path<(ProjectKey, String)>,
    Caller(user): Caller,
) -> Result<Response> {
    Ok(json(StatusCode::OK, compared(&state, &user, &project, &numbers(&runs)?).await?))
}

async fn compared(
    state: &AppState,
    user: &User,
    project: &ProjectKey,
    runs: &[RunNumber],
) -> Result<rest::Comparison> {
    let verdicts = state.engine.verdicts(user, project, runs).await?;
    let mut details = Vec::new();
    for run in runs {
        details.push(state.engine.run(user, project, *run).await?);
    }
    Ok(rest::Comparison::load(&state.engine, user, project, details, verdicts).await?)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Opinion {
    #[serde(default)]
    step: Option<String>,
    /// Null for a tie. The field is required.
    #[serde(deserialize_with = "Option::deserialize")]
    winner: Option<RunNumber>,
    #[serde(default)]
    note: String,
}

/// Replaces the caller's previous verdict. Responds with all verdicts on these runs.
async fn judge(
    State(state): State<AppState>,
    Path((project, runs)): Path<(ProjectKey, String)>,
    Caller(user): Caller,
    body: Body,
) -> Result<Response> {
    let runs = numbers(&runs)?;
    let gate = async {
        // The engine refuses more runs than these; each costs a query here.
        for run in runs.iter().take(MOST_COMPARED) {
            state.engine.permits_run(&user, &project, *run, Permission::Editor).await?;
        }
        Ok(())
    };
    let Opinion { step, winner, note } = behind(gate, body.json()).await?;
    let draft = VerdictDraft { runs: runs.clone(), step, winner, note };
    state.engine.judge(&user, &project, draft).await?;
    let verdicts = state.engine.verdicts(&user, &project, &runs).await?;
    Ok(json(StatusCode::OK, Items::whole(verdicts.into_iter().map(rest::VerdictShape::from).collect())))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct On {
    step: Option<String>,
}

async fn withdraw(
    State(state): State<AppState>,
    Path((project, runs)): Path<(ProjectKey, String)>,
    Query(On { step }): Query<On>,
    Caller(user): Caller,
) -> Result<Response> {
    state.engine.withdraw_verdict(&user, &project, &numbers(&runs)?, step).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Of {
    template: Option<String>,
}

/// The totals of all verdicts, per role at a step, per model and per template version.
async fn totals(
    State(state): State<AppState>,
    Path(project): Path<ProjectKey>,
    Query(Of { template }): Query<Of>,
    Caller(user): Caller,
) -> Result<Response> {
    let template = template.filter(|text| !text.is_empty()).map(|text| {
        let parsed = TemplateKey::parse(&text);
        parsed.map_err(|error| ProblemDetails::bad_request(format!("template: {error}")))
    });
    let scores = state.engine.scores(&user, &project, template.transpose()?.as_ref()).await?;
    Ok(json(StatusCode::OK, scores))
}

fn written(runs: &[RunNumber]) -> String {
    runs.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

/// The runs in a path such as `1,2`. Any other text is no comparison: the response is 404.
fn numbers(text: &str) -> Result<Vec<RunNumber>> {
    let numbers = text.split(',').map(|number| number.parse().map(RunNumber));
    numbers.collect::<Result<_, _>>().map(once).map_err(|_| {
        let why = format!("'{text}' is no comparison: give the numbers of runs, with commas between");
        ProblemDetails::new(StatusCode::NOT_FOUND, "not-found", why)
    })
}

/// Removes repeated runs and keeps their order.
fn once(mut runs: Vec<RunNumber>) -> Vec<RunNumber> {
    let mut seen = BTreeSet::new();
    runs.retain(|run| seen.insert(*run));
    runs
}
