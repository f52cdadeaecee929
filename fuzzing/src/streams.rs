//! Providers' answers, over the wire: whatever comes, it ends once, in an answer or in an error.

use domain::provider::ProviderKind;
use engine::models::{Http, ModelClient, ModelEvent, ModelRequest, ProviderClient};
use futures::StreamExt;
use std::{sync::Arc, sync::Mutex, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    runtime::{self, Runtime},
    time::timeout,
};

/// The first character says by which protocol it is read.
pub(crate) const SEEDS: &[&str] = &[
    "odata: {\"choices\":[{\"delta\":{\"content\":\"Hello\"},\"finish_reason\":null}]}\n\ndata: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2}}\n\ndata: [DONE]\n\n",
    "o: alive\n\ndata: {\"choices\":[{\"delta\":{\"reasoning_content\":\"Hm\"}}]}\n\ndata: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"c\",\"function\":{\"name\":\"f\",\"arguments\":\"{\"}}]}}]}\n\ndata: {\"error\":{\"message\":\"overloaded\",\"code\":529}}\n\n",
    "aevent: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":5,\"cache_read_input_tokens\":2,\"output_tokens\":1}}}\n\nevent: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\nevent: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"Hi\"}}\n\nevent: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":9}}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
    "gdata: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"Hi\"}],\"role\":\"model\"},\"finishReason\":\"STOP\",\"index\":0}],\"usageMetadata\":{\"promptTokenCount\":4,\"candidatesTokenCount\":1}}\n\n",
    "l{\"model\":\"m\",\"message\":{\"role\":\"assistant\",\"content\":\"Hi\"},\"done\":false}\n{\"model\":\"m\",\"message\":{\"role\":\"assistant\",\"content\":\"\"},\"done\":true,\"done_reason\":\"stop\",\"prompt_eval_count\":3,\"eval_count\":2}\n",
];
pub(crate) const WORDS: &[&str] = &[
    "data: ",
    "\n\n",
    "\n",
    "\r\n",
    ":",
    "event: message_stop",
    "[DONE]",
    "null",
    "{}",
    "[]",
    "\"stop\"",
    "\"length\"",
    "\"usage\":",
    "18446744073709551615",
    "-1",
    "1e400",
    "\"choices\":[]",
    "\"error\":",
    "\"refusal\":\"no\"",
    "\u{feff}",
    "<html>",
    "é",
    "\"",
    "\"finish_reason\":",
    "\"done\":true",
    "\"index\":99999999",
];

struct Wire {
    runtime: Runtime,
    body: Arc<Mutex<Vec<u8>>>,
    clients: Vec<(u8, ProviderClient)>,
}

thread_local! {
    /// Never dropped: a runtime cannot be, while its thread's other values are.
    static WIRE: &'static Wire = Box::leak(Box::new(Wire::start()));
}

pub fn streams(data: &[u8]) {
    let Some((&protocol, body)) = data.split_first() else { return };
    WIRE.with(|wire| wire.hear(protocol, body));
}

impl Wire {
    fn start() -> Self {
        let runtime = runtime::Builder::new_current_thread().enable_all().build().expect("a runtime starts");
        let body = Arc::new(Mutex::new(Vec::new()));
        let (listener, address) = runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
            let address = listener.local_addr().expect("it is bound");
            (listener, address)
        });
        let said = body.clone();
        runtime.spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                let body = said.lock().expect("nobody panics with it").clone();
                tokio::spawn(answer(connection, body));
            }
        });
        // Clients look for the runtime that they will run on.
        let entered = runtime.enter();
        let client = |(letter, kind)| {
            let address = format!("http://{address}/v1");
            let client = ProviderClient::new(kind, Some(&address), Some("sk-1".into()), &Http::new());
            (letter, client.expect("it has an address and a key"))
        };
        let kinds = [
            (b'o', ProviderKind::OpenAiCompatible),
            (b'a', ProviderKind::Anthropic),
            (b'g', ProviderKind::Gemini),
            (b'l', ProviderKind::Ollama),
        ];
        let clients = kinds.into_iter().map(client).collect();
        drop(entered);
        Self { runtime, body, clients }
    }

    fn hear(&self, protocol: u8, body: &[u8]) {
        *self.body.lock().expect("nobody panics with it") = body.to_vec();
        let at = usize::from(protocol) % self.clients.len();
        let named = self.clients.iter().find(|(letter, _)| *letter == protocol);
        let (_, client) = named.unwrap_or(&self.clients[at]);
        let hearing = async {
            let mut stream = client.stream(ModelRequest::new("m", "Hello")).await.expect("it can be sent");
            let mut ended = false;
            while let Some(item) = stream.next().await {
                assert!(!ended, "something came after the end: {item:?}");
                match item {
                    Ok(ModelEvent::Finish(_)) => ended = true,
                    Ok(_) => {}
                    Err(error) => {
                        assert!(!error.message.is_empty());
                        ended = true;
                    }
                }
            }
            ended
        };
        let heard = self.runtime.block_on(async { timeout(Duration::from_secs(20), hearing).await });
        assert_eq!(heard, Ok(true), "the answer has no end");
    }
}

/// Reads the request, answers with the body, and closes.
async fn answer(mut connection: TcpStream, body: Vec<u8>) {
    let (mut request, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        if let Some(head) = request.windows(4).position(|end| end == b"\r\n\r\n") {
            let headers = String::from_utf8_lossy(&request[..head]).to_lowercase();
            let length =
                headers.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
            if request.len() >= head + 4 + length.unwrap_or(0_usize) {
                break;
            }
        }
        match connection.read(&mut piece).await {
            Ok(read) if read > 0 => request.extend_from_slice(&piece[..read]),
            _ => return,
        }
    }
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
    // One who hangs up before the end has heard enough.
    let _ = connection.write_all(&[head.as_bytes(), &body].concat()).await;
    let _ = connection.shutdown().await;
}
