//! Data types for pages: server functions return them and components render them. Database rows never leave the
//! engine; these types do. All their texts are safe to show to the requesting member.

use crate::{
    access::Permission,
    branch::{Branch, Versions},
    event::{Delta, Event, TemplateVersion},
    file::FilePath,
    fork::RerunReason,
    id::{ContentId, EventId, MessageId, RunNumber, TaskId, Timestamp, TokenId, UserId},
    key::{ModelName, ProjectKey, ProviderKey, RoleKey, TemplateKey},
    price::Price,
    problem::Problem,
    provider::ProviderKind,
    role::{Reason, StepRole},
    run::{MessageMetadata, RunState, RunStatus},
    template::Template,
    usage::Usage,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One page of a list. `next` is an opaque cursor for the page after it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Page<T> {
    pub items: Vec<T>,
    pub next: Option<String>,
}

/// The signed-in user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct User {
    pub id: UserId,
    pub email: String,
    pub name: String,
    /// May manage providers, users and projects of the whole installation.
    pub admin: bool,
}

/// An API token of the requesting user. The token itself is shown once, on creation, and only its digest is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApiToken {
    pub id: TokenId,
    pub name: String,
    pub created_at: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Project {
    pub key: ProjectKey,
    pub name: String,
    /// The requesting user's permission in the project.
    pub permission: Permission,
    pub live_runs: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Member {
    pub email: String,
    pub name: String,
    pub permission: Permission,
}

/// A role's newest version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Role {
    pub key: RoleKey,
    pub name: String,
    pub version: u32,
    pub base_prompt: String,
    pub model: ModelName,
    pub temperature: Option<f64>,
    pub max_tokens: Option<u32>,
    pub tools: Vec<String>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// A member's input to create or change a role.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RoleDraft {
    pub key: RoleKey,
    pub name: String,
    pub base_prompt: String,
    pub model: ModelName,
    #[serde(default)]
    pub temperature: Option<f64>,
    #[serde(default)]
    pub max_tokens: Option<u32>,
    #[serde(default)]
    pub tools: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TemplateSummary {
    pub key: TemplateKey,
    pub name: String,
    pub description: Option<String>,
    pub version: u32,
    pub steps: u32,
    pub runs: u32,
    pub updated_at: Timestamp,
    pub updated_by: String,
}

/// One version of a template, with its document as written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TemplateDetail {
    pub key: TemplateKey,
    pub version: u32,
    pub newest: u32,
    pub document: Template,
    /// YAML as the author wrote it, comments included.
    pub source: String,
    /// Newest first.
    pub versions: Vec<TemplateVersionInfo>,
    pub runs: u32,
    /// After a save: probable mistakes in the templates and tools that the steps call, which would prevent a launch
    /// now.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hints: Vec<Problem>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TemplateVersionInfo {
    pub version: u32,
    pub created_at: Timestamp,
    pub by: String,
    pub runs: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Provider {
    pub key: ProviderKey,
    pub kind: ProviderKind,
    pub base_url: Option<String>,
    /// Whether a key is stored or comes from the environment. The key itself never leaves the server.
    pub has_key: bool,
    /// Where it is defined: in the database, by an environment variable, or built in (`local`).
    pub origin: ProviderOrigin,
    pub max_concurrent: u32,
    pub requests_per_minute: Option<u32>,
    /// Number of calls under way, and of calls that wait for a slot.
    pub active: u32,
    pub queued: u32,
    /// `None` if calls are limited only by the configured limits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slowdown: Option<ProviderSlowdown>,
}

/// The provider rate-limited calls (429, or 503 with a time to wait): all calls to it are slowed down for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProviderSlowdown {
    /// Milliseconds until the next call may go; 0 if calls go, at first one at a time.
    pub resumes_in_ms: u64,
    /// Number of calls refused since the slowdown began.
    pub refused: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ProviderOrigin {
    Stored,
    Environment,
    BuiltIn,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProviderLimitsDraft {
    pub max_concurrent: Option<u32>,
    pub requests_per_minute: Option<u32>,
}

/// The provider's current answer to a request for its models.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "state")]
pub enum ProviderStatus {
    Reachable {
        models: Vec<String>,
    },
    /// Installed, but not started until its first call (the local model).
    Idle {
        models: Vec<String>,
    },
    Failed {
        message: String,
    },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskSummary {
    pub id: TaskId,
    pub title: String,
    pub status: TaskStatus,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub messages: u32,
    pub live_runs: u32,
    /// The task's newest run.
    pub last_run: Option<RunNumber>,
    /// Status of the newest run.
    pub last_status: Option<RunStatus>,
    /// The beginning of the newest message, as one line without Markdown.
    pub excerpt: String,
    /// Whether the requesting user has not seen the latest change of the conversation.
    pub unread: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TaskStatus {
    Pending,
    Active,
    Completed,
    Failed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Author {
    User,
    Assistant,
    System,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Message {
    pub id: MessageId,
    pub author: Author,
    /// The member's name, for user messages.
    pub by: Option<String>,
    /// That member's id, if the account still exists.
    pub user: Option<UserId>,
    /// Markdown. For an assistant message it is the run's output, empty until the run has ended.
    pub content: String,
    /// Sanitised HTML of `content`, for assistant messages that have any.
    pub html: Option<String>,
    pub created_at: Timestamp,
    pub metadata: Option<MessageMetadata>,
    /// The run that an assistant message belongs to.
    pub run: Option<RunSummary>,
    /// The branch of the message, by its first message; `None` for `main`.
    pub branch: Option<MessageId>,
    /// For the first message of a branch: the message that it replaces.
    pub replaces: Option<MessageId>,
    /// Present if the message has been edited, or is an edit.
    pub versions: Option<Versions>,
}

/// A part of one branch of a conversation.
#[derive(Clone, Debug, PartialEq)]
pub struct ConversationPart {
    pub branch: Branch,
    /// Oldest first.
    pub messages: Vec<Message>,
    /// Whether there are messages before and after these.
    pub earlier: bool,
    pub later: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunSummary {
    pub number: RunNumber,
    pub template: TemplateVersion,
    pub status: RunStatus,
    pub by: String,
    pub task: TaskId,
    pub message: MessageId,
    pub created_at: Timestamp,
    pub finished_at: Option<Timestamp>,
    pub usage: Usage,
    pub warnings: u32,
    pub error: Option<String>,
    /// The run that launched this one.
    pub caller: Option<RunNumber>,
}

/// An item that needs the requesting user's attention.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InboxItem {
    pub kind: InboxKind,
    /// When the question was asked, or when the run failed.
    pub at: Timestamp,
    pub run: RunSummary,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum InboxKind {
    /// Steps of the run wait for a person's decision.
    Question,
    /// The requesting user's own run failed, and they have neither opened nor dismissed it.
    Failure,
}

/// Counts of a project for the requesting user, shown on every page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProjectCounts {
    pub live_runs: u32,
    /// Number of items in the inbox, counted up to [`ProjectCounts::MOST`].
    pub inbox: u32,
    /// Number of recently changed conversations with changes that the requesting user has not seen.
    pub unread: u32,
}

impl ProjectCounts {
    pub const MOST: u32 = 100;
}

/// Current activity of a project.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Dashboard {
    /// Number of live runs; `runs` has the newest of them.
    pub live: u32,
    pub runs: Vec<LiveRunSummary>,
    pub last_hour: Outcomes,
    /// The providers that have calls, of any project.
    pub providers: Vec<ProviderQueue>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LiveRunSummary {
    pub run: RunSummary,
    pub steps: StepCounts,
    /// The current step: one that runs, else one that waits for a person, else the next one.
    pub step: Option<String>,
    /// The role of that step.
    pub role: Option<RoleKey>,
}

/// Number of steps per status. Skipped steps count as done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StepCounts {
    pub total: u32,
    pub done: u32,
    pub running: u32,
    pub waiting: u32,
    pub failed: u32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Outcomes {
    pub completed: u32,
    pub failed: u32,
    pub cancelled: u32,
}

/// A provider's calls under way, its waiting calls, and its limit of concurrent calls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProviderQueue {
    pub key: ProviderKey,
    pub active: u32,
    pub queued: u32,
    pub most: u32,
}

/// A search result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Found {
    #[serde(flatten)]
    pub what: FoundThing,
    /// The title of the result; for a message, the title of its conversation.
    pub title: String,
    /// The text around the match, if the match is not in the title.
    pub excerpt: Vec<Piece>,
    pub at: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum FoundThing {
    Run {
        run: RunNumber,
        status: RunStatus,
    },
    Template {
        template: TemplateKey,
    },
    Role {
        role: RoleKey,
    },
    Conversation {
        task: TaskId,
    },
    Message {
        task: TaskId,
        message: MessageId,
        author: Author,
        /// The cursor of the conversation's part that contains the message; `None` for its newest part.
        from: Option<String>,
    },
}

/// A piece of a text; `marked` if it matches the search.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Piece {
    pub text: String,
    pub marked: bool,
}

/// One version of a file in a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FileVersion {
    pub path: FilePath,
    /// From 1, per path, in the conversation.
    pub version: u32,
    /// The run that wrote it.
    pub run: RunNumber,
    pub content: ContentId,
    pub bytes: u64,
    pub created_at: Timestamp,
}

/// A file's text, and the text of its previous version on the branch, if any.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FileText {
    pub file: FileVersion,
    pub text: String,
    pub before: Option<String>,
    /// The file's versions on the branch, ascending.
    pub versions: Vec<u32>,
}

/// A run with its folded state; `state.seq` is the cursor from which to follow it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunDetail {
    pub summary: RunSummary,
    pub state: RunState,
}

/// A stored text, or the requested part of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Content {
    pub text: String,
    /// Length of the whole text in UTF-8 bytes.
    pub bytes: u64,
}

/// The effects of a launch, computed before it. No model is called.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LaunchPreview {
    pub steps: Vec<StepPreview>,
    pub warnings: Vec<String>,
    pub errors: Vec<Problem>,
    /// The estimated usage; `None` if there are no past runs to base it on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimate: Option<Estimate>,
}

/// The usage of past runs of the template, at the current prices of the chosen models.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Estimate {
    /// Number of past runs that the estimate is based on.
    pub runs: u32,
    /// Has no cost if one of the models has no price.
    pub usage: Usage,
}

/// The price of a model, as set by an admin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ModelPrice {
    pub model: ModelName,
    /// `None` if a role uses the model and no price is set.
    pub price: Option<Price>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StepPreview {
    pub name: String,
    pub role: Option<RolePreview>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RolePreview {
    pub key: RoleKey,
    pub version: u32,
    pub model: ModelName,
    pub reason: Reason,
}

impl From<&StepRole> for RolePreview {
    fn from(role: &StepRole) -> Self {
        Self { key: role.key.clone(), version: role.version, model: role.model.clone(), reason: role.reason }
    }
}

/// The effects of a fork, computed before it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ForkPreview {
    /// In the plan's order; empty if the fork is refused.
    pub steps: Vec<ForkStep>,
    pub warnings: Vec<String>,
    /// The template's newest version, if the fork runs an older one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newer_version: Option<u32>,
    pub errors: Vec<Problem>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ForkStep {
    pub name: String,
    /// Whether the step's output is taken over; otherwise the step runs again.
    pub reused: bool,
    /// Why the step runs again; for a reused step, why its output is stale.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<RerunReason>,
    /// The reason as a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// The role that will execute the step, or that made the reused output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<RolePreview>,
}

/// The acknowledgement of a launch: the run is stored and survives a crash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Launched {
    pub run: RunNumber,
    pub message_id: MessageId,
    pub task_id: TaskId,
    pub event_id: EventId,
    pub queue_position: u32,
    /// The branch of the run's conversation, by its first message; `None` for `main`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<MessageId>,
}

/// A named set of role assignments.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Preset {
    pub name: String,
    /// Step name to role key.
    pub roles: BTreeMap<String, RoleKey>,
    /// The member who saved it last.
    pub by: String,
}

/// A change in a project, for lists that update themselves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    pub seq: u64,
    #[serde(flatten)]
    pub subject: Subject,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "subject", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Subject {
    /// A run was launched or changed its status.
    Run {
        number: RunNumber,
        task: TaskId,
        status: RunStatus,
    },
    Task {
        id: TaskId,
    },
    Template {
        key: TemplateKey,
    },
    Role {
        key: RoleKey,
    },
    /// A comparison was created or judged.
    Comparison {
        runs: Vec<RunNumber>,
    },
    /// The reader was away for longer than changes are kept: everything must be read again.
    Everything,
}

impl Subject {
    /// Whether a run may have changed.
    pub fn is_run(&self) -> bool {
        matches!(self, Self::Run { .. } | Self::Everything)
    }

    /// Whether a conversation may have changed, or a run in it.
    pub fn is_conversation(&self) -> bool {
        matches!(self, Self::Run { .. } | Self::Task { .. } | Self::Everything)
    }

    /// Whether the template may have changed.
    pub fn is_template(&self, wanted: &TemplateKey) -> bool {
        match self {
            Self::Template { key } => key == wanted,
            Self::Everything => true,
            _ => false,
        }
    }

    /// Whether a comparison may have changed.
    pub fn is_comparison(&self) -> bool {
        matches!(self, Self::Comparison { .. } | Self::Everything)
    }
}

/// A frame of a tab's live connection. Externally tagged, unlike events: the browser reads thousands of frames, and an
/// internal tag would make it buffer each of them to find the tag.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum LiveFrame {
    Event {
        run: RunNumber,
        event: Event,
    },
    Delta {
        run: RunNumber,
        delta: Delta,
    },
    Change {
        change: Change,
    },
    /// The people who have the template open for editing.
    Present {
        template: TemplateKey,
        people: Vec<Present>,
    },
}

/// A tab in which a user edits a template.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Present {
    pub tab: String,
    pub name: String,
    /// Whether the tab belongs to the requesting user.
    pub mine: bool,
}

/// The people present when a tab opens a template, and the change number from which to follow updates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Attendance {
    pub people: Vec<Present>,
    /// The template's newest version.
    pub newest: u32,
    /// The project's newest change.
    pub changes: u64,
}
