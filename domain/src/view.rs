//! Shapes for pages: what server functions return and components draw. Rows of the database never leave the engine;
//! these do. All texts here are safe to show to the member who asked.

use crate::{
    access::Permission,
    branch::{Branch, Versions},
    event::{Delta, Event, TemplateVersion},
    file::FilePath,
    id::{ContentId, EventId, MessageId, RunNumber, TaskId, Timestamp, TokenId, UserId},
    key::{ModelName, ProjectKey, ProviderKey, RoleKey, TemplateKey},
    price::Price,
    problem::Problem,
    provider::ProviderKind,
    role::Reason,
    run::{MessageMetadata, RunState, RunStatus},
    template::Template,
    usage::Usage,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One page of a list. `next` is an opaque cursor: given back, it continues after the last item.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Page<T> {
    pub items: Vec<T>,
    pub next: Option<String>,
}

/// Who is signed in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct User {
    pub id: UserId,
    pub email: String,
    pub name: String,
    /// May manage providers, users and projects of the whole installation.
    pub admin: bool,
}

/// An API token of the one who asks. The token itself is shown once, when it is made, and stored as a digest only.
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
    /// What the one who asks may do in it.
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

/// What a person gives to make or change a role.
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

/// One version of a template, with its document as it was written.
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
    /// A key is stored or comes from the environment. The key itself never leaves the server.
    pub has_key: bool,
    /// Where it is defined: in the database, by an environment variable, or built in (`local`).
    pub origin: ProviderOrigin,
    pub max_concurrent: u32,
    pub requests_per_minute: Option<u32>,
    /// Calls under way and calls that wait for a slot.
    pub active: u32,
    pub queued: u32,
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

/// What a provider answers when it is asked for its models just now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "state")]
pub enum ProviderStatus {
    Reachable {
        models: Vec<String>,
    },
    /// Installed, but asleep until its first call (the local model).
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
    /// Its newest.
    pub last_run: Option<RunNumber>,
    /// Of its newest run.
    pub last_status: Option<RunStatus>,
    /// How its newest message begins, as one line without Markdown.
    pub excerpt: String,
    /// Something happened in it since the one who asks last looked at it.
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
    /// The member's name, for the user's messages.
    pub by: Option<String>,
    /// That member, while they are there.
    pub user: Option<UserId>,
    /// Markdown; an assistant message's is its run's output, empty until the run has ended.
    pub content: String,
    /// Sanitised HTML of `content`, for assistant messages that have any.
    pub html: Option<String>,
    pub created_at: Timestamp,
    pub metadata: Option<MessageMetadata>,
    /// The run that an assistant message stands for.
    pub run: Option<RunSummary>,
    /// The branch it stands on, by its first message; none: what was said first.
    pub branch: Option<MessageId>,
    /// Of the first message of a branch: the one in whose place it stands.
    pub replaces: Option<MessageId>,
    /// Where it has been edited, or is an edit.
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

/// Something that waits for the one who asks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InboxItem {
    pub kind: InboxKind,
    /// When it was asked, or when it failed.
    pub at: Timestamp,
    pub run: RunSummary,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum InboxKind {
    /// Steps of the run wait for a person's decision.
    Question,
    /// The asker's own run failed, and they have neither looked at it nor dismissed it.
    Failure,
}

/// How a project stands for the one who asks: the counts that every page shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProjectCounts {
    pub live_runs: u32,
    /// What waits in the inbox; counted up to [`ProjectCounts::MOST`].
    pub inbox: u32,
    /// How many of the conversations that moved last have something in them that the asker has not seen.
    pub unread: u32,
}

impl ProjectCounts {
    pub const MOST: u32 = 100;
}

/// What a project is doing just now.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Dashboard {
    /// How many runs are live; `runs` has the newest of them.
    pub live: u32,
    pub runs: Vec<LiveRunSummary>,
    pub last_hour: Outcomes,
    /// The providers that have something to do, for whichever project.
    pub providers: Vec<ProviderQueue>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LiveRunSummary {
    pub run: RunSummary,
    pub steps: StepCounts,
    /// Where it is: a step that works, else one that waits for a person, else the one that comes next.
    pub step: Option<String>,
    /// Who does that step.
    pub role: Option<RoleKey>,
}

/// How the steps of a run stand. Skipped ones are done.
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

/// Calls that a provider has under way, calls that wait for it, and how many it may have at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProviderQueue {
    pub key: ProviderKey,
    pub active: u32,
    pub queued: u32,
    pub most: u32,
}

/// Something that a search found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Found {
    #[serde(flatten)]
    pub what: FoundThing,
    /// What it is called; of a message, its conversation.
    pub title: String,
    /// The words around what was found, where they are not the title.
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
        /// The cursor of the part of the conversation that has it; none: its newest part has.
        from: Option<String>,
    },
}

/// A part of a text; `marked`: it is what was searched for.
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

/// A file's text, and the text of the version before it on the branch, if there is one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FileText {
    pub file: FileVersion,
    pub text: String,
    pub before: Option<String>,
    /// Those that the file has on the branch, rising.
    pub versions: Vec<u32>,
}

/// A run with its folded state; `state.seq` is the cursor from which to follow it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunDetail {
    pub summary: RunSummary,
    pub state: RunState,
}

/// A stored text, or the part of it that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Content {
    pub text: String,
    /// Length of the whole in UTF-8 bytes.
    pub bytes: u64,
}

/// What a launch would do, before it is done. No model is called for it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LaunchPreview {
    pub steps: Vec<StepPreview>,
    pub warnings: Vec<String>,
    pub errors: Vec<Problem>,
    /// What it may take; none: there is nothing to go by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimate: Option<Estimate>,
}

/// What past runs of the template took, at what the chosen models cost now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Estimate {
    /// So many past runs say so.
    pub runs: u32,
    /// Without a cost: one of the models has no price.
    pub usage: Usage,
}

/// What a model costs, as an admin has said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ModelPrice {
    pub model: ModelName,
    /// None: a role uses it, and nobody has said.
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

/// The acknowledgement of a launch: everything is stored, the run will go on whatever happens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Launched {
    pub run: RunNumber,
    pub message_id: MessageId,
    pub task_id: TaskId,
    pub event_id: EventId,
    pub queue_position: u32,
    /// The branch of its conversation on which it stands, by its first message; none: what was said first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<MessageId>,
}

/// An assignment of roles with a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Preset {
    pub name: String,
    /// Step name to role key.
    pub roles: BTreeMap<String, RoleKey>,
    /// Who saved it last.
    pub by: String,
}

/// One thing that happened in a project, for lists that keep themselves current.
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
    /// Runs were put side by side, or judged.
    Comparison {
        runs: Vec<RunNumber>,
    },
    /// The reader was away for longer than changes are kept: all that it has read is to be read anew.
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

/// What the live connection of a tab carries. Not tagged inside, as events are: the browser reads thousands of these,
/// and would hold each in an intermediate form to find its tag.
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
    /// Who has the template open for editing now.
    Present {
        template: TemplateKey,
        people: Vec<Present>,
    },
}

/// A tab in which somebody edits a template.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Present {
    pub tab: String,
    pub name: String,
    /// It is the reader's own.
    pub mine: bool,
}

/// Who is there when one comes, and where to follow it from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Attendance {
    pub people: Vec<Present>,
    /// The template's newest version.
    pub newest: u32,
    /// The project's newest change.
    pub changes: u64,
}
