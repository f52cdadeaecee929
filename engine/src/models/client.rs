//! Calling a provider.

use std::fmt;
use std::sync::Arc;

use domain::error::ErrorClass;
use domain::provider::ProviderKind;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt};
use genai::chat::{self, ChatOptions, ChatRequest, ChatResponseFormat, JsonSpec};
use genai::resolver::{AuthData, Endpoint};
use genai::{Headers, ModelIden, ServiceTarget};
use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use super::error::{ModelError, Redactor};
use super::event::ModelEvent;
use super::frames::FrameWatch;
use super::http::Http;
use super::providers::{self, Defaults, Keyless};
use super::request::{MessageAuthor, ModelRequest};
use super::stream::AnswerStream;
use super::wire_error::Wire;

/// A streaming answer. Dropping it closes the connection, and with it ends the provider's work.
pub type ModelStream = BoxStream<'static, Result<ModelEvent, ModelError>>;

/// A client that can call a provider's models.
pub trait ModelClient: Send + Sync {
    /// Asks for an answer. The request is sent when the stream is first polled; an error on the wire is the last item
    /// of the stream. The future itself fails only if nothing can be sent.
    ///
    /// The only time limit is the one for connecting: the poller decides how long a silence may last.
    fn stream(&self, request: ModelRequest) -> BoxFuture<'static, Result<ModelStream, ModelError>>;

    /// The names of the provider's chat models, sorted.
    fn list_models(&self) -> BoxFuture<'static, Result<Vec<String>, ModelError>>;
}

/// A client for a provider at an address, with its key. Cheap to clone.
#[derive(Clone)]
pub struct ProviderClient(Arc<Inner>);

struct Inner {
    kind: ProviderKind,
    defaults: &'static Defaults,
    client: genai::Client,
    endpoint: Endpoint,
    /// For calls; also selects how a call without a key is sent.
    auth: AuthData,
    /// For model lists, which every adapter can request without a key.
    list_auth: AuthData,
    options: ChatOptions,
    wire: Wire,
}

impl ProviderClient {
    /// Prepares calls; sends nothing.
    ///
    /// `base_url` is the address up to and including its version (`http://host:8000/v1`), with or without a trailing
    /// slash; `None` means the kind's default.
    ///
    /// `badRequest` if the base URL is missing or invalid, `auth` if the kind needs a key and there is none, `network`
    /// if this machine cannot make secure connections.
    pub fn new(
        kind: ProviderKind,
        base_url: Option<&str>,
        api_key: Option<SecretString>,
        http: &Http,
    ) -> Result<Self, ModelError> {
        let defaults = providers::defaults(kind);
        let base_url = parse_base_url(kind, base_url.or(defaults.base_url))?;
        let api_key = api_key.filter(|key| !key.expose_secret().trim().is_empty());
        if defaults.needs_key && api_key.is_none() {
            let message = format!("The provider kind {kind} needs an API key");
            return Err(ModelError::new(ErrorClass::Auth, message));
        }
        let redactor = Redactor::new(api_key.clone());
        let client =
            genai::Client::builder().with_reqwest(http.client(&base_url)?).build().map_err(|error| {
                internal("Cannot prepare calls to the provider").with_source(&error, &redactor)
            })?;

        let mut options = ChatOptions::default().with_capture_usage(true);
        (defaults.prepare)(&mut options);
        let key = api_key.as_ref().map(|key| key.expose_secret().trim().to_owned());
        let list_auth = key.clone().map_or(AuthData::None, AuthData::Key);
        let auth = match (key, defaults.keyless) {
            (Some(key), Keyless::Native) => {
                options.extra_headers = Some(Headers::from(("Authorization", format!("Bearer {key}"))));
                AuthData::None
            }
            (Some(key), _) => AuthData::Key(key),
            (None, Keyless::Path(path)) => AuthData::RequestOverride {
                url: base_url
                    .join(path)
                    .map(|mut url| {
                        url.set_query(base_url.query());
                        url.into()
                    })
                    .map_err(|_| bad_base_url(kind, "it cannot be extended"))?,
                headers: Headers::default(),
            },
            (None, Keyless::Native | Keyless::Impossible) => AuthData::None,
        };
        Ok(Self(Arc::new(Inner {
            kind,
            defaults,
            client,
            endpoint: Endpoint::from_owned(base_url.as_str()),
            auth,
            list_auth,
            options,
            wire: Wire::new(base_url.origin().ascii_serialization(), redactor),
        })))
    }

    pub fn kind(&self) -> ProviderKind {
        self.0.kind
    }
}

/// Shows the address, never the key.
impl fmt::Debug for ProviderClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProviderClient")
            .field("kind", &self.0.kind)
            .field("at", &self.0.wire.place())
            .finish()
    }
}

impl ModelClient for ProviderClient {
    fn stream(&self, request: ModelRequest) -> BoxFuture<'static, Result<ModelStream, ModelError>> {
        let inner = self.0.clone();
        async move { Ok(inner.open(request).await?.boxed()) }.boxed()
    }

    fn list_models(&self) -> BoxFuture<'static, Result<Vec<String>, ModelError>> {
        let inner = self.0.clone();
        async move { inner.list().await }.boxed()
    }
}

impl Inner {
    async fn open(&self, request: ModelRequest) -> Result<AnswerStream, ModelError> {
        let ModelRequest { model, system, messages, temperature, max_tokens, schema } = request;
        let frames = Arc::new(FrameWatch::default());
        let mut options = self.options.clone();
        options.temperature = temperature;
        options.max_tokens = max_tokens;
        options.response_format = schema.and_then(|schema| structured(self.kind, schema));
        options.raw_frame_sink = Some(frames.clone());

        let messages = messages.into_iter().map(|message| match message.author {
            MessageAuthor::User => chat::ChatMessage::user(message.text),
            MessageAuthor::Assistant => chat::ChatMessage::assistant(message.text),
        });
        let mut chat = ChatRequest::from_messages(messages.collect());
        chat.system = system.filter(|system| !system.is_empty());

        let target = ServiceTarget {
            endpoint: self.endpoint.clone(),
            auth: self.auth.clone(),
            model: ModelIden::new(self.defaults.adapter, wire_name(model)),
        };
        let response = self
            .client
            .exec_chat_stream(target, chat, Some(&options))
            .await
            .map_err(|error| self.wire.before_sending(&error))?;
        Ok(AnswerStream::new(response.stream, frames, self.wire.clone()))
    }

    async fn list(&self) -> Result<Vec<String>, ModelError> {
        let at = (self.endpoint.clone(), self.list_auth.clone());
        let mut names = self
            .client
            .all_model_names(self.defaults.adapter, at)
            .await
            .map_err(|error| self.wire.classify(&error))?;
        names.retain(|name| (self.defaults.converses)(name));
        names.sort();
        Ok(names)
    }
}

/// The provider's structured mode for a schema. All providers reject schemas of anything but an object.
fn structured(kind: ProviderKind, schema: Value) -> Option<ChatResponseFormat> {
    let is_object = schema.get("type").and_then(Value::as_str) == Some("object");
    is_object.then(|| match kind {
        // `genai` does not send schemas to Ollama.
        ProviderKind::Ollama => ChatResponseFormat::JsonMode,
        _ => JsonSpec::new("output", schema).into(),
    })
}

/// `genai` cuts off a namespace before `::`, so a name that contains `::` gets an extra one.
fn wire_name(model: String) -> String {
    if model.contains("::") { format!("provider::{model}") } else { model }
}

fn parse_base_url(kind: ProviderKind, text: Option<&str>) -> Result<Url, ModelError> {
    let text = text.ok_or_else(|| bad_base_url(kind, "it is missing"))?;
    let mut url = Url::parse(text.trim()).map_err(|_| bad_base_url(kind, "it is not a URL"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(bad_base_url(kind, "it must begin with http:// or https://"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(bad_base_url(kind, "it must not hold a user name or password"));
    }
    // Adapters join paths to the base URL; without the slash its last segment would be lost or run into the next.
    if !url.path().ends_with('/') {
        let path = format!("{}/", url.path());
        url.set_path(&path);
    }
    url.set_fragment(None);
    if url.query().is_some() && !matches!(kind, ProviderKind::OpenAi | ProviderKind::OpenAiCompatible) {
        return Err(bad_base_url(kind, "it must not hold a query"));
    }
    Ok(url)
}

fn bad_base_url(kind: ProviderKind, why: &str) -> ModelError {
    ModelError::new(
        ErrorClass::BadRequest,
        format!("The base URL of the {kind} provider cannot be used: {why}"),
    )
}

fn internal(message: &str) -> ModelError {
    ModelError::new(ErrorClass::BadRequest, message)
}
