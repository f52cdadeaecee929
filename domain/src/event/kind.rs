//! The kinds of events, serialised under `kind`. Logs are kept forever, so a renamed kind keeps its old name as an
//! alias.

use super::{Caller, ChildQuestion, Failure, Link, Parent, PendingCall, TemplateVersion, TextRef};
use crate::{
    decision::Decision,
    file::FilePath,
    fork::Origin,
    id::{EventId, OwnerId, StepRunId, Timestamp},
    plan::Plan,
    role::StepRole,
    usage::Usage,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum EventKind {
    /// The launch is stored; the run survives a crash from here on.
    Acknowledged {
        event_id: EventId,
        /// Position of the run's first call in its provider's queue, from 1; 0 if it starts at once.
        queue_position: u32,
    },
    Submitted {
        template: TemplateVersion,
        plan: Arc<Plan>,
        input: TextRef,
        /// Name of the member who started the run.
        by: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        parent: Option<Box<Parent>>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        caller: Option<Caller>,
    },
    /// One entry, with its reason, per step of the plan that needs a role.
    RolesResolved {
        roles: Vec<StepRole>,
    },

    Ready {
        step: StepRunId,
    },
    ConditionEvaluated {
        step: StepRunId,
        holds: bool,
    },
    /// The step's list is evaluated; from here on each item has its own step run.
    ItemsResolved {
        step: StepRunId,
        count: u32,
        /// The list, as JSON.
        items: TextRef,
    },
    /// Every item has ended. `output` is the JSON list of the items' outputs in item order, with null for a failed
    /// item.
    Gathered {
        step: StepRunId,
        output: TextRef,
        /// Number of failed items that the run tolerated.
        #[serde(default, skip_serializing_if = "is_zero")]
        failed: u32,
    },
    /// The step takes over the output of the same step run in the run that this one was forked from; no call is made.
    Reused {
        step: StepRunId,
        output: TextRef,
        /// `None` in logs written before this field existed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        origin: Option<Box<Origin>>,
    },
    /// An attempt is claimed. The first claimed attempt of a run puts the run in the phase "processing".
    Started {
        step: StepRunId,
        attempt: u32,
        /// The server process that executes the attempt, which ends with it. `None` if the attempt is executed elsewhere
        /// and survives the process; what executes it is `linked`. Logs written before `linked` existed name the process
        /// in either case.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        owner: Option<OwnerId>,
    },
    /// The exact messages of the attempt, stored before they are sent.
    Prompt {
        step: StepRunId,
        attempt: u32,
        prompt: TextRef,
        /// Present if the call waits for a delivery: it has not begun before `callBegan` is recorded. `None` if the call
        /// follows the commit of this event.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pending: Option<PendingCall>,
    },
    /// The call of an attempt that waited for a delivery begins in this server process, after the commit of this event.
    CallBegan {
        step: StepRunId,
        attempt: u32,
        owner: OwnerId,
    },
    /// What executes the attempt outside of the server process.
    #[serde(alias = "childLaunched")]
    Linked {
        step: StepRunId,
        attempt: u32,
        #[serde(flatten)]
        to: Link,
    },
    /// The child run of the attempt waits for a person.
    ChildWaiting {
        step: StepRunId,
        attempt: u32,
        question: Box<ChildQuestion>,
    },
    /// The child run of the attempt has resumed.
    ChildResumed {
        step: StepRunId,
        attempt: u32,
    },
    /// The streaming answer has begun a file with this path.
    FileRequested {
        step: StepRunId,
        attempt: u32,
        path: FilePath,
    },
    /// The step has written a file: the conversation has a new version of it.
    FileWritten {
        step: StepRunId,
        attempt: u32,
        path: FilePath,
        content: TextRef,
        /// Whether the version was made by editing the previous one.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        edited: bool,
    },
    /// The step needs a person's decision.
    Waiting {
        step: StepRunId,
        /// The question to the person.
        question: TextRef,
        /// The proposal to decide on, as JSON.
        proposal: TextRef,
        /// When the time limit decides; `None` if the step waits without a limit.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Timestamp>,
        /// The time limit's decision.
        on_timeout: Decision,
    },
    /// A person or the time limit has decided.
    Answered {
        step: StepRunId,
        decision: Decision,
        /// The member's name; `None` if the time limit decided.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<String>,
        #[serde(default, skip_serializing_if = "String::is_empty")]
        note: String,
        /// `None` if the decision is to reject.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        output: Option<TextRef>,
    },
    Finished {
        step: StepRunId,
        attempt: u32,
        output: TextRef,
        usage: Usage,
        /// The model reached its token limit.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        cut: bool,
        /// The finish reason that the provider sent, if it is one the server does not know.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        unknown_finish: Option<String>,
    },
    /// The text that the model had produced in an attempt that ends without an output, and its usage as far as it is
    /// known. Older logs call this kind `said`.
    #[serde(alias = "said")]
    PartialOutput {
        step: StepRunId,
        attempt: u32,
        /// At most [`PARTIAL_OUTPUT_LIMIT`] bytes.
        text: TextRef,
        #[serde(default, skip_serializing_if = "Usage::is_none")]
        usage: Usage,
    },
    StepFailed {
        step: StepRunId,
        attempt: u32,
        error: Failure,
        /// When the step is tried again; `None` if there is no further attempt.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_at: Option<Timestamp>,
    },
    /// The provider rate-limited the attempt's call. The call returns to the provider's queue; the attempt does not
    /// count against `maxRetries`.
    Throttled {
        step: StepRunId,
        attempt: u32,
        error: Failure,
    },
    TimedOut {
        step: StepRunId,
        attempt: u32,
        error: Failure,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_at: Option<Timestamp>,
    },
    /// The process that owned the attempt has ended.
    Interrupted {
        step: StepRunId,
        attempt: u32,
        error: Failure,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_at: Option<Timestamp>,
    },
    Skipped {
        step: StepRunId,
        reason: String,
    },
    /// The run was cancelled while the attempt was open or before the step started.
    StepCancelled {
        step: StepRunId,
    },

    Completed {
        output: TextRef,
        /// The run's output as its message shows it, at most [`OUTPUT_LIMIT`] bytes.
        shown: String,
    },
    Failed {
        error: Failure,
        /// Name of the step that caused the failure.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        step: Option<String>,
    },
    Cancelled {
        by: String,
    },
}

/// Maximum size of the output in the metadata of a run's message, in bytes (DESIGN section 4).
pub const OUTPUT_LIMIT: usize = 16 * 1024;

/// Maximum size of the stored partial output of an attempt, in bytes.
pub const PARTIAL_OUTPUT_LIMIT: usize = 1024 * 1024;

macro_rules! names {
    ($($kind:ident => $name:literal,)*) => {
        impl EventKind {
            /// The serialised names of all kinds.
            pub const NAMES: &[&str] = &[$($name),*];

            /// The kind's serialised name, for filters and logs.
            pub fn name(&self) -> &'static str {
                match self {
                    $(Self::$kind { .. } => $name,)*
                }
            }
        }
    };
}

names! {
    Acknowledged => "acknowledged",
    Submitted => "submitted",
    RolesResolved => "rolesResolved",
    Ready => "ready",
    ConditionEvaluated => "conditionEvaluated",
    ItemsResolved => "itemsResolved",
    Gathered => "gathered",
    Reused => "reused",
    Started => "started",
    Prompt => "prompt",
    CallBegan => "callBegan",
    Linked => "linked",
    ChildWaiting => "childWaiting",
    ChildResumed => "childResumed",
    FileRequested => "fileRequested",
    FileWritten => "fileWritten",
    Waiting => "waiting",
    Answered => "answered",
    Finished => "finished",
    PartialOutput => "partialOutput",
    StepFailed => "stepFailed",
    Throttled => "throttled",
    TimedOut => "timedOut",
    Interrupted => "interrupted",
    Skipped => "skipped",
    StepCancelled => "stepCancelled",
    Completed => "completed",
    Failed => "failed",
    Cancelled => "cancelled",
}

impl EventKind {
    /// The step run that the event belongs to, if any.
    pub fn step(&self) -> Option<StepRunId> {
        match self {
            Self::Ready { step }
            | Self::ConditionEvaluated { step, .. }
            | Self::ItemsResolved { step, .. }
            | Self::Gathered { step, .. }
            | Self::Reused { step, .. }
            | Self::Started { step, .. }
            | Self::Prompt { step, .. }
            | Self::CallBegan { step, .. }
            | Self::Linked { step, .. }
            | Self::ChildWaiting { step, .. }
            | Self::ChildResumed { step, .. }
            | Self::FileRequested { step, .. }
            | Self::FileWritten { step, .. }
            | Self::Waiting { step, .. }
            | Self::Answered { step, .. }
            | Self::Finished { step, .. }
            | Self::PartialOutput { step, .. }
            | Self::StepFailed { step, .. }
            | Self::Throttled { step, .. }
            | Self::TimedOut { step, .. }
            | Self::Interrupted { step, .. }
            | Self::Skipped { step, .. }
            | Self::StepCancelled { step } => Some(*step),
            _ => None,
        }
    }
}

fn is_zero(n: &u32) -> bool {
    *n == 0
}
