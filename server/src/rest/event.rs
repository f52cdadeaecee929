//! Events on the wire: the envelope `{run, seq, at, kind, …}`.

use super::Time;
use domain::{
    event::{Delta, Event},
    id::{RunNumber, Timestamp},
};
use serde_json::{Map, Value, json};

/// The event as it is stored, with its run, and with times as texts.
pub fn event(run: RunNumber, event: &Event) -> Value {
    let mut shape = Map::from_iter([("run".to_owned(), json!(run))]);
    if let Ok(Value::Object(fields)) = serde_json::to_value(event) {
        shape.extend(fields);
    }
    for field in ["at", "retryAt", "until"] {
        time_at(shape.get_mut(field));
    }
    Value::Object(shape)
}

/// Text of an open attempt. It has no number: it is not stored.
pub fn delta(run: RunNumber, delta: &Delta) -> Value {
    json!({
        "run": run, "kind": "delta", "step": delta.step, "attempt": delta.attempt, "offset": delta.offset,
        "text": delta.text,
    })
}

/// Writes the milliseconds that stand here as a text.
pub fn time_at(place: Option<&mut Value>) {
    if let Some(place) = place
        && let Some(milliseconds) = place.as_i64()
    {
        *place = Time(Timestamp(milliseconds)).text().into();
    }
}
