//! Logs as earlier versions wrote them. Databases keep such logs forever, so they must remain readable after renames,
//! and must fold to the recorded result.
//!
//! Each folder of `fixtures` was recorded by `RECORD_LOGS=folder cargo test -p engine --test engine recorded` and is
//! never recorded again: events of a new shape are recorded in a new folder.

use domain::{
    event::Event,
    run::{MessageMetadata, RunState},
};
use serde_json::Value;
use std::{collections::BTreeSet, fmt::Write as _, fs, path::Path};

/// The folders, each with the kinds of its time, under their serialised names.
const FOLDERS: [(&str, &[&str]); 2] = [("logs-1", &KINDS_1), ("logs-2", &KINDS_2)];

const KINDS_1: [&str; 26] = [
    "acknowledged",
    "answered",
    "cancelled",
    "childLaunched",
    "completed",
    "conditionEvaluated",
    "failed",
    "fileRequested",
    "fileWritten",
    "finished",
    "gathered",
    "interrupted",
    "itemsResolved",
    "prompt",
    "ready",
    "reused",
    "rolesResolved",
    "said",
    "skipped",
    "started",
    "stepCancelled",
    "stepFailed",
    "submitted",
    "throttled",
    "timedOut",
    "waiting",
];

const KINDS_2: [&str; 28] = [
    "acknowledged",
    "answered",
    "cancelled",
    "childResumed",
    "childWaiting",
    "completed",
    "conditionEvaluated",
    "failed",
    "fileRequested",
    "fileWritten",
    "finished",
    "gathered",
    "interrupted",
    "itemsResolved",
    "linked",
    "partialOutput",
    "prompt",
    "ready",
    "reused",
    "rolesResolved",
    "skipped",
    "started",
    "stepCancelled",
    "stepFailed",
    "submitted",
    "throttled",
    "timedOut",
    "waiting",
];

struct Recorded {
    name: String,
    /// The kinds as written in the file.
    kinds: Vec<String>,
    events: Vec<Event>,
    metadata: Value,
}

fn recorded(folder: &str) -> Vec<Recorded> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(folder);
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let read = files.iter().map(|file| {
        let name = file.file_stem().unwrap().to_string_lossy().into_owned();
        let mut json: Value = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
        let events = json["events"].take();
        let kinds = events.as_array().unwrap().iter().map(|event| event["kind"].as_str().unwrap().to_owned());
        Recorded {
            kinds: kinds.collect(),
            events: serde_json::from_value(events.clone()).unwrap_or_else(|error| panic!("{name}: {error}")),
            metadata: json["metadata"].take(),
            name,
        }
    });
    read.collect()
}

/// The metadata after a round trip through JSON, in which floating-point numbers may lose their last digit.
fn metadata(state: &RunState) -> Value {
    serde_json::from_str(&serde_json::to_string(&MessageMetadata::from(state)).unwrap()).unwrap()
}

/// Removes the sentences, whose wording may change.
fn take_words(metadata: &mut Value) -> Vec<String> {
    let mut words = Vec::new();
    for line in metadata["orchestrationStatus"]["log"].as_array_mut().unwrap() {
        let text = line["text"].take();
        words.push(format!("{}: {}", line["level"].as_str().unwrap(), text.as_str().unwrap()));
    }
    for warning in metadata["orchestration"]["warnings"].as_array_mut().unwrap() {
        words.push(format!("in the summary: {}", warning.take().as_str().unwrap()));
    }
    words
}

#[test]
fn old_logs_fold_to_what_they_folded_to() {
    for (folder, expected_kinds) in FOLDERS {
        let logs = recorded(folder);
        let mut words = String::new();
        for log in &logs {
            let mut folded = metadata(&RunState::replay(&log.events));
            let mut expected = log.metadata.clone();
            let lines = take_words(&mut folded);
            assert_eq!(lines.len(), take_words(&mut expected).len(), "{folder}/{}", log.name);
            assert_eq!(folded, expected, "{folder}/{}", log.name);
            writeln!(words, "{}\n  {}", log.name, lines.join("\n  ")).unwrap();
        }
        insta::assert_snapshot!(folder, words);
        let kinds: BTreeSet<_> = logs.iter().flat_map(|log| &log.kinds).map(String::as_str).collect();
        assert_eq!(
            kinds.into_iter().collect::<Vec<_>>(),
            expected_kinds,
            "every kind of that time is in {folder}"
        );
    }
}
