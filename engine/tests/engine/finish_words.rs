//! Providers' finish reasons and their meanings (DESIGN section 7, "How an answer ended"): sent in every protocol, and
//! to a tried role.

use crate::{
    models::{Heard, KINDS, ask, base_url, client},
    staff::{Staff, role},
};
use domain::{
    error::ErrorClass::{self, InvalidOutput, Overload, Refused, Timeout, Truncated},
    key::{ModelName, ProviderKey},
    provider::ProviderKind,
    usage::Usage,
    view::RoleDraft,
};
use engine::{
    ProviderDraft, TrialEvent,
    models::{FinishReason, ModelRequest},
};
use futures::StreamExt;
use scripted::{Rule, Server};

#[derive(Clone, Copy, Debug)]
enum Ending {
    Done,
    Cut,
    Tools,
    Aborted(ErrorClass),
    /// On no list: done, with a warning that names the word.
    Unknown,
}

const WORDS: &[(Ending, &[&str])] = &[
    (
        Ending::Done,
        &[
            "stop",
            "STOP",
            "end_turn",
            "stop_sequence",
            "stop_token",
            "eos",
            "eos_token",
            "endoftext",
            "COMPLETE",
            "complete",
            "completed",
            "finished",
        ],
    ),
    (
        Ending::Cut,
        &[
            "length",
            "max_tokens",
            "MAX_TOKENS",
            "max_output_tokens",
            "max_length",
            "model_length",
            "token_limit",
            "error_limit",
            "incomplete",
            "model_context_window_exceeded",
        ],
    ),
    (Ending::Tools, &["tool_calls", "tool_call", "tool_use", "function_call"]),
    (
        Ending::Aborted(Refused),
        &[
            "content_filter",
            "content_filtered",
            "guardrail_intervened",
            "refusal",
            "refused",
            "sensitive",
            "error_toxic",
            "SAFETY",
            "RECITATION",
            "LANGUAGE",
            "BLOCKLIST",
            "PROHIBITED_CONTENT",
            "SPII",
            "MODEL_ARMOR",
            "IMAGE_SAFETY",
            "IMAGE_RECITATION",
            "IMAGE_PROHIBITED_CONTENT",
        ],
    ),
    (Ending::Aborted(Overload), &["insufficient_system_resource", "failed", "error", "network_error"]),
    (Ending::Aborted(Timeout), &["timeout", "time_limit"]),
    (
        Ending::Aborted(Truncated),
        &[
            "abort",
            "aborted",
            "cancelled",
            "canceled",
            "user_cancel",
            "interrupted",
            "pause_turn",
            "OTHER",
            "IMAGE_OTHER",
        ],
    ),
    (
        Ending::Aborted(InvalidOutput),
        &[
            "MALFORMED_FUNCTION_CALL",
            "malformed_tool_use",
            "malformed_model_output",
            "MALFORMED_RESPONSE",
            "UNEXPECTED_TOOL_CALL",
            "TOO_MANY_TOOL_CALLS",
            "MISSING_THOUGHT_SIGNATURE",
            "NO_IMAGE",
        ],
    ),
    (Ending::Unknown, &["load", "FINISH_REASON_UNSPECIFIED", "something_new"]),
];

fn words() -> impl Iterator<Item = (Ending, &'static str)> {
    WORDS.iter().flat_map(|(ending, words)| words.iter().map(|word| (*ending, *word)))
}

/// Each word in each wire format, streamed, with the protocol's own end mark and without.
#[tokio::test]
async fn every_finish_word_means_the_same_in_every_protocol() {
    let server = Server::start().await;
    for kind in KINDS {
        let client = client(kind, &base_url(kind, &server));
        for (ending, word) in words() {
            for end_mark in [true, false] {
                let rule = Rule::text("half a sentence").chunk_size(6).finish_word(word).usage(11, 7);
                server.script(vec![if end_mark { rule } else { rule.no_end_mark() }]);
                let Heard { text, usage, finish, error } =
                    ask(&client, ModelRequest::new("scripted", "Go on")).await;
                let at = format!("{kind}, {word}, end mark {end_mark}: {error:?}");
                assert_eq!(text, "half a sentence", "{at}");
                let wanted = match ending {
                    Ending::Done => Ok(FinishReason::Stop),
                    Ending::Cut => Ok(FinishReason::Length),
                    Ending::Tools => Ok(FinishReason::ToolCalls),
                    Ending::Aborted(class) => Err(class),
                    Ending::Unknown => Ok(FinishReason::Unknown(word.to_owned())),
                };
                let ended = error.as_ref().map_or_else(|| Ok(finish.unwrap()), |error| Err(error.class));
                assert_eq!(ended, wanted, "{at}");
                if let Some(error) = &error {
                    assert!(error.message.contains(word), "the message names the word: {at}");
                }
                // If an Ollama stream ends without its last document, the token counts are missing.
                if end_mark || kind != ProviderKind::Ollama {
                    assert_eq!(usage, Some(Usage::new(11, 7)), "{at}");
                }
            }
        }
    }
}

/// Each word in each wire format, for a tried role: an answer that a run would reject is no success here.
#[tokio::test]
async fn every_finish_word_means_the_same_in_a_trial() {
    let (staff, models) = (Staff::new().await, Server::start().await);
    for kind in KINDS {
        let provider = ProviderDraft {
            key: ProviderKey::parse(&kind.to_string()).unwrap(),
            kind,
            base_url: Some(base_url(kind, &models)),
            api_key: Some("sk-very-secret-0123456789".into()),
            max_concurrent: None,
            requests_per_minute: None,
        };
        staff.engine.create_provider(&staff.root, provider).await.unwrap();
        let model = ModelName::parse(&format!("{kind}/scripted")).unwrap();
        for (ending, word) in words() {
            models.script(vec![Rule::text("half").finish_word(word).usage(11, 7)]);
            let draft = RoleDraft { model: model.clone(), ..role("trial") };
            let trial = staff.engine.try_role(&staff.editor, &staff.project, draft, "Hello".to_owned());
            let events: Vec<_> = trial.await.unwrap().collect().await;
            let at = format!("{kind}, {word}: {events:?}");
            let Some((TrialEvent::Text(text), rest)) = events.split_first() else { panic!("{at}") };
            assert_eq!(text, "half", "{at}");
            match (ending, rest) {
                (Ending::Done, [TrialEvent::Finished(usage)]) => {
                    assert_eq!(*usage, Usage::new(11, 7), "{at}")
                }
                (Ending::Cut, [TrialEvent::Warning(warning), TrialEvent::Finished(_)]) => {
                    assert!(warning.contains("token limit"), "{at}");
                }
                (Ending::Unknown, [TrialEvent::Warning(warning), TrialEvent::Finished(_)]) => {
                    assert!(warning.contains(&format!("'{word}'")), "{at}");
                }
                (Ending::Tools, [TrialEvent::Failed(failure)]) => {
                    assert_eq!(failure.class, InvalidOutput, "{at}");
                }
                (Ending::Aborted(class), [TrialEvent::Failed(failure)]) => {
                    assert_eq!(failure.class, class, "{at}");
                    assert!(failure.message.contains(word), "{at}");
                }
                _ => panic!("{at}"),
            }
        }
    }
}
