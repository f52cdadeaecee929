//! The JSON format of events: `{run, seq, at, kind, …}`.

use super::Time;
use domain::{
    event::{Delta, Event},
    id::{RunNumber, Timestamp},
};
use serde_json::{Map, Value, json};

/// The event as stored, with its run added and its times as texts.
pub fn event(run: RunNumber, event: &Event) -> Value {
    let mut shape = Map::from_iter([("run".to_owned(), json!(run))]);
    if let Ok(Value::Object(mut fields)) = serde_json::to_value(event) {
        // The child run that an attempt is linked to; `run` is the event's own.
        if let Some(child) = fields.remove("run") {
            shape.insert("child".to_owned(), child);
        }
        shape.extend(fields);
    }
    for field in ["at", "retryAt", "until"] {
        time_at(shape.get_mut(field));
    }
    // What a child run asks. A question of the run's own is a text.
    if let Some(Value::Object(question)) = shape.get_mut("question") {
        for field in ["askedAt", "until"] {
            time_at(question.get_mut(field));
        }
    }
    Value::Object(shape)
}

/// Streaming text of an open attempt. It has no sequence number, since it is not stored.
pub fn delta(run: RunNumber, delta: &Delta) -> Value {
    json!({
        "run": run, "kind": "delta", "step": delta.step, "attempt": delta.attempt, "offset": delta.offset,
        "text": delta.text,
    })
}

/// Converts milliseconds at this place to a time text.
pub fn time_at(place: Option<&mut Value>) {
    if let Some(place) = place
        && let Some(milliseconds) = place.as_i64()
    {
        *place = Time(Timestamp(milliseconds)).text().into();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{
        event::{EventKind, Link},
        id::StepRunId,
    };

    #[test]
    fn an_event_names_its_own_run_and_the_child_run() {
        let to = Link::ChildRun(RunNumber(8));
        let kind = EventKind::Linked { step: StepRunId::of(1), attempt: 1, to };
        let shape = event(RunNumber(3), &Event { seq: 5, at: Timestamp(0), kind });
        assert_eq!(
            shape,
            json!({
                "run": 3, "seq": 5, "at": "1970-01-01T00:00:00.000Z", "kind": "linked", "step": "1", "attempt": 1,
                "child": 8,
            })
        );
    }
}
