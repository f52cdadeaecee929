//! Runs: launch, list, read, follow, stop.

use super::{Items, json};
use crate::{
    AppState, browser,
    extract::{Body, Caller, Path, Query, accepts, behind},
    guard::Credential,
    prefer,
    problem::{ProblemDetails, Result},
    rest,
    router::Route,
    watch::{self, Seen},
};
use axum::{
    Extension,
    extract::State,
    http::{
        HeaderMap, StatusCode,
        header::{CONTENT_LOCATION, LOCATION},
    },
    response::{IntoResponse, Response, sse},
};
use domain::{
    access::Permission,
    event::{Event, EventKind},
    id::RunNumber,
    key::{ProjectKey, TemplateKey},
    run::RunStatus,
    view::{Launched, LiveFrame, User},
};
use engine::{AnswerDraft, Fork, Launch, RunFilter, Subject, Waited};
use futures::{StreamExt, stream};
use serde::Deserialize;
use serde_json::json as object;
use std::future;
use tokio::time::timeout;

pub fn routes() -> Vec<Route> {
    vec![
        Route::post("/api/v1/projects/{project}/templates/{template}/execute", execute),
        Route::get("/api/v1/projects/{project}/runs", list),
        Route::get("/api/v1/projects/{project}/runs/{run}", show),
        Route::get("/api/v1/projects/{project}/runs/{run}/events", events),
        Route::get("/api/v1/projects/{project}/runs/{run}/content/{content}", browser::content::content),
        Route::post("/api/v1/projects/{project}/runs/{run}/cancel", cancel),
        Route::post("/api/v1/projects/{project}/runs/{run}/fork", fork),
        Route::post("/api/v1/projects/{project}/runs/{run}/fork/preview", preview_fork),
        Route::post("/api/v1/projects/{project}/runs/{run}/answer", answer),
    ]
}

async fn execute(
    State(state): State<AppState>,
    Path((project, template)): Path<(ProjectKey, TemplateKey)>,
    Caller(user): Caller,
    headers: HeaderMap,
    body: Body,
) -> Result<Response> {
    let gate = state.engine.permits_template(&user, &project, &template, Permission::Editor);
    let sent = body.json().and_then(|launch: Launch| {
        Ok(Launch { idempotency_key: idempotency_key(&headers, launch.idempotency_key)?, ..launch })
    });
    let launch = behind(gate, sent).await?;
    let subject = Subject::Template(template);
    let Some(limit) = prefer::wait(&headers) else {
        return Ok(acknowledged(&project, state.engine.execute(&user, &project, subject, launch).await?));
    };
    let patience = async {
        // The wait ends when the server stops or when its limit has passed.
        drop(timeout(limit, state.stopping.cancelled()).await);
    };
    match state.engine.execute_and_wait(&user, &project, subject, launch, patience).await? {
        Waited::Launched(launched) => Ok(acknowledged(&project, launched)),
        Waited::Ended(detail) => {
            let place = address(&project, detail.summary.number);
            let run = rest::Run::load(&state.engine, &user, &project, *detail).await?;
            let headers = [(CONTENT_LOCATION, place)];
            Ok((headers, [(prefer::APPLIED, prefer::WAIT)], json(StatusCode::OK, run)).into_response())
        }
    }
}

fn address(project: &ProjectKey, run: RunNumber) -> String {
    format!("/api/v1/projects/{project}/runs/{run}")
}

fn acknowledged(project: &ProjectKey, launched: Launched) -> Response {
    ([(LOCATION, address(project, launched.run))], json(StatusCode::ACCEPTED, launched)).into_response()
}

async fn fork(
    State(state): State<AppState>,
    Path((project, run)): Path<(ProjectKey, RunNumber)>,
    Caller(user): Caller,
    headers: HeaderMap,
    body: Body,
) -> Result<Response> {
    let gate = state.engine.permits_run(&user, &project, run, Permission::Editor);
    let sent = body.json().and_then(|fork: Fork| {
        Ok(Fork { idempotency_key: idempotency_key(&headers, fork.idempotency_key)?, ..fork })
    });
    let fork = behind(gate, sent).await?;
    let launched = state.engine.fork(&user, &project, run, fork).await?;
    Ok(acknowledged(&project, launched))
}

async fn preview_fork(
    State(state): State<AppState>,
    Path((project, run)): Path<(ProjectKey, RunNumber)>,
    Caller(user): Caller,
    body: Body,
) -> Result<Response> {
    let gate = state.engine.permits_run(&user, &project, run, Permission::Viewer);
    let fork: Fork = behind(gate, body.json()).await?;
    Ok(json(StatusCode::OK, state.engine.preview_fork(&user, &project, run, &fork).await?))
}

async fn answer(
    State(state): State<AppState>,
    Path((project, run)): Path<(ProjectKey, RunNumber)>,
    Caller(user): Caller,
    body: Body,
) -> Result<Response> {
    let gate = state.engine.permits_run(&user, &project, run, Permission::Editor);
    let draft: AnswerDraft = behind(gate, body.json()).await?;
    let detail = state.engine.answer(&user, &project, run, draft).await?;
    Ok(json(StatusCode::OK, rest::Run::load(&state.engine, &user, &project, detail).await?))
}

/// The idempotency key from the header or the body's field; if both are given, they must agree.
pub(super) fn idempotency_key(headers: &HeaderMap, field: Option<String>) -> Result<Option<String>> {
    let Some(header) = headers.get("idempotency-key") else { return Ok(field) };
    let header = header.to_str().map_err(|_| {
        ProblemDetails::bad_request("Idempotency-Key has characters other than visible ASCII")
    })?;
    match field {
        Some(field) if field != header => Err(ProblemDetails::bad_request(
            "the header Idempotency-Key and the body's idempotencyKey differ; give one, or both alike",
        )),
        _ => Ok(Some(header.to_owned())),
    }
}

#[derive(Deserialize)]
struct Wanted {
    status: Option<String>,
    template: Option<String>,
    cursor: Option<String>,
}

impl Wanted {
    /// Empty parameters do not filter.
    fn filter(&self) -> Result<RunFilter> {
        let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let status = given(&self.status).map(|text| {
            RunStatus::parse(&text).ok_or_else(|| {
                let known = RunStatus::ALL.map(RunStatus::as_str).join(", ");
                ProblemDetails::bad_request(format!("status: '{text}' is none of {known}"))
            })
        });
        let template = given(&self.template).map(|text| {
            let parsed = TemplateKey::parse(&text);
            parsed.map_err(|error| ProblemDetails::bad_request(format!("template: {error}")))
        });
        Ok(RunFilter { status: status.transpose()?, template: template.transpose()? })
    }
}

async fn list(
    State(state): State<AppState>,
    Path(project): Path<ProjectKey>,
    Query(wanted): Query<Wanted>,
    Caller(user): Caller,
) -> Result<Response> {
    let page = state.engine.runs(&user, &project, &wanted.filter()?, wanted.cursor.as_deref()).await?;
    Ok(json(StatusCode::OK, Items::of(page, rest::RunSummary::from)))
}

async fn show(
    State(state): State<AppState>,
    Path((project, run)): Path<(ProjectKey, RunNumber)>,
    Caller(user): Caller,
) -> Result<Response> {
    let detail = state.engine.run(&user, &project, run).await?;
    Ok(json(StatusCode::OK, rest::Run::load(&state.engine, &user, &project, detail).await?))
}

async fn cancel(
    State(state): State<AppState>,
    Path((project, run)): Path<(ProjectKey, RunNumber)>,
    Caller(user): Caller,
) -> Result<Response> {
    let detail = state.engine.cancel(&user, &project, run).await?;
    Ok(json(StatusCode::OK, rest::Run::load(&state.engine, &user, &project, detail).await?))
}

#[derive(Deserialize)]
struct EventsQuery {
    #[serde(default)]
    after: u64,
}

/// A page of the log. For a client that accepts `text/event-stream`: the log from `after` on, followed by live events
/// until the run has ended.
async fn events(
    State(state): State<AppState>,
    Path((project, run)): Path<(ProjectKey, RunNumber)>,
    Query(EventsQuery { after }): Query<EventsQuery>,
    Caller(user): Caller,
    Extension(credential): Extension<Credential>,
    headers: HeaderMap,
) -> Result<Response> {
    if !accepts(&headers, "text/event-stream") {
        let page = state.engine.events(&user, &project, run, after).await?;
        return Ok(json(StatusCode::OK, Items::of(page, |event| rest::event(run, &event))));
    }
    let after = match headers.get("last-event-id").filter(|id| !id.is_empty()) {
        None => after,
        Some(id) => id.to_str().ok().and_then(|id| id.parse().ok()).ok_or_else(|| {
            ProblemDetails::bad_request("Last-Event-ID wants the number of an event of this run")
        })?,
    };
    follow(&state, &user, credential, &project, run, after).await
}

async fn follow(
    state: &AppState,
    user: &User,
    credential: Credential,
    project: &ProjectKey,
    run: RunNumber,
    after: u64,
) -> Result<Response> {
    let seat = state.engine.take_seat(user, &credential.id())?;
    let Some(frames) = state.engine.live_run(user, project, run, after).await? else {
        // The client already has the whole log of an ended run; 204 tells an EventSource not to reconnect.
        return Ok(StatusCode::NO_CONTENT.into_response());
    };
    let events = watch::watch(state, credential, seat, frames)
        .map(move |seen| written(run, seen))
        // An empty item after the last event ends the stream.
        .flat_map(|(event, last)| stream::iter(event.map(Some).into_iter().chain(last.then_some(None))))
        .take_while(|event| future::ready(event.is_some()))
        .filter_map(future::ready);
    Ok(watch::answer(events))
}

/// Converts a frame to an event of the stream, and reports whether it is the last.
fn written(run: RunNumber, seen: Seen) -> (Option<sse::Event>, bool) {
    match seen {
        Seen::Frame(_, frame) => match *frame {
            LiveFrame::Event { event, .. } => {
                let written = watch::event(&rest::event(run, &event)).id(event.seq.to_string());
                (Some(written.event(event.kind.name())), ends(&event))
            }
            // Has no id, so that a client that reconnects resumes after the last stored event.
            LiveFrame::Delta { delta, .. } => {
                (Some(watch::event(&rest::delta(run, &delta)).event("delta")), false)
            }
            LiveFrame::Change { .. } | LiveFrame::Present { .. } => (None, false),
        },
        Seen::Heartbeat => (Some(sse::Event::default().comment("")), false),
        Seen::Gone(reason) => (Some(watch::event(&object!({ "reason": reason })).event("gone")), true),
    }
}

fn ends(event: &Event) -> bool {
    matches!(event.kind, EventKind::Completed { .. } | EventKind::Failed { .. } | EventKind::Cancelled { .. })
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    #[test]
    fn a_key_in_the_header_equals_the_field() {
        let header = |value: &'static str| {
            HeaderMap::from_iter([("idempotency-key".parse().unwrap(), HeaderValue::from_static(value))])
        };
        let none = HeaderMap::new();
        assert_eq!(idempotency_key(&none, None).unwrap(), None);
        assert_eq!(idempotency_key(&none, Some("a".into())).unwrap(), Some("a".into()));
        assert_eq!(idempotency_key(&header("a"), None).unwrap(), Some("a".into()));
        assert_eq!(idempotency_key(&header("a"), Some("a".into())).unwrap(), Some("a".into()));
        assert_eq!(idempotency_key(&header("a"), Some("b".into())).unwrap_err().status(), 400);
    }
}
