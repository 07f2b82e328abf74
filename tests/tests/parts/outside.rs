//! What stands around an oracle, in a test's hands: a webhook that notes what it is told, and a way to the RPC that can be
//! cut.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use axum::{Json, Router, extract::State, routing::post};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};

/// A webhook that keeps the texts of alerts.
pub struct FakeWebhook {
    pub url: String,
    texts: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Drop for FakeWebhook {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl FakeWebhook {
    pub async fn start() -> Self {
        type Texts = Arc<Mutex<Vec<String>>>;
        async fn take(State(texts): State<Texts>, Json(body): Json<serde_json::Value>) {
            texts.lock().unwrap().push(body["text"].as_str().unwrap_or_default().to_owned());
        }
        let texts = Texts::default();
        let router = Router::new().route("/hook", post(take)).with_state(texts.clone());
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, texts, task }
    }

    pub fn texts(&self) -> Vec<String> {
        self.texts.lock().unwrap().clone()
    }

    /// Whether an alert contains all of these words.
    pub fn heard(&self, words: &[&str]) -> bool {
        self.texts().iter().any(|text| words.iter().all(|word| text.contains(word)))
    }
}

/// Passes connections on to an address until it is cut; cut ones end at once, new ones are closed as soon as they come.
pub struct Wire {
    pub url: String,
    whole: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Wire {
    /// To `url`, as in `http://127.0.0.1:8899`.
    pub async fn start(url: &str) -> Self {
        let target: SocketAddr = url.trim_start_matches("http://").trim_end_matches('/').parse().unwrap();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (whole, state) = watch::channel(true);
        let task = tokio::spawn(async move {
            loop {
                let (mut near, _) = listener.accept().await.unwrap();
                let mut state = state.clone();
                if !*state.borrow() {
                    continue;
                }
                tokio::spawn(async move {
                    let Ok(mut far) = TcpStream::connect(target).await else { return };
                    tokio::select! {
                        _ = copy_bidirectional(&mut near, &mut far) => {}
                        _ = state.wait_for(|whole| !*whole) => {}
                    }
                });
            }
        });
        Self { url, whole, task }
    }

    pub fn cut(&self) {
        self.whole.send_replace(false);
    }

    pub fn mend(&self) {
        self.whole.send_replace(true);
    }
}
