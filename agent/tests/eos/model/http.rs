//! The model's web server: eAPI's envelope, who may ask, and what goes wrong on the way.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use base64::Engine;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, UnixListener},
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    },
};

use super::{PASSWORD, Shared, USER, cli::Complaint, fixture};

/// What goes wrong at a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The connection breaks and the command is never run.
    DropBefore,
    /// It is run, and the connection breaks without an answer.
    DropAfter,
    /// The connection breaks at once; a commit goes on by itself and is done after this.
    DropDuring(Duration),
    /// It takes this long.
    Slow(Duration),
    /// The answer is this.
    Answer(u16, String),
    /// The answer never ends.
    Endless,
    /// It is answered as if it had been run, and isn't.
    Ignore,
    /// The command fails.
    Fail(i64, String),
    /// From this command on nothing is answered.
    Die,
}

pub fn acceptor() -> TlsAcceptor {
    let pem = fixture("test-only-server.pem");
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&pem).map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_slice(&fixture("test-only-server-key.pem")).unwrap();
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    TlsAcceptor::from(Arc::new(builder.with_no_client_auth().with_single_cert(chain, key).unwrap()))
}

pub async fn serve_tcp(listener: TcpListener, shared: Arc<Mutex<Shared>>, tls: Option<TlsAcceptor>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { return };
        let _ = stream.set_nodelay(true);
        let (shared, tls) = (shared.clone(), tls.clone());
        tokio::spawn(async move {
            match tls {
                Some(tls) => {
                    if let Ok(stream) = tls.accept(stream).await {
                        connection(stream, shared, true).await;
                    }
                }
                None => connection(stream, shared, true).await,
            }
        });
    }
}

pub async fn serve_socket(listener: UnixListener, shared: Arc<Mutex<Shared>>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { return };
        tokio::spawn(connection(stream, shared.clone(), false));
    }
}

struct Request {
    path: String,
    authorization: Option<String>,
    body: Vec<u8>,
}

async fn connection(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    shared: Arc<Mutex<Shared>>,
    known_users_only: bool,
) {
    while let Some(request) = read(&mut stream).await {
        let expected = base64::engine::general_purpose::STANDARD.encode(format!("{USER}:{PASSWORD}"));
        let knows = request.authorization.as_deref() == Some(format!("Basic {expected}").as_str());
        let (status, body) = if request.path != "/command-api" {
            (404, "Not found".to_owned())
        } else if known_users_only && !knows {
            (401, "Unable to authenticate user: Bad username/password combination".to_owned())
        } else {
            match answer(&request.body, &shared).await {
                Reply::Body(status, body) => (status, body),
                Reply::Drop => return,
                Reply::Endless => {
                    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n[";
                    let _ = stream.write_all(head.as_bytes()).await;
                    while stream.write_all(&[b' '; 65_536]).await.is_ok() {}
                    return;
                }
            }
        };
        let answer = format!(
            "HTTP/1.1 {status} Word\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Option<Request> {
    let mut bytes = Vec::new();
    let head_ends = loop {
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        (stream.read_buf(&mut bytes).await.ok()? > 0).then_some(())?;
    };
    let head = String::from_utf8_lossy(&bytes[..head_ends]).into_owned();
    let header = |name: &str| {
        let found = head.lines().find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then_some(value)
        });
        found.map(str::to_owned)
    };
    let length: usize = header("content-length")?.parse().ok()?;
    while bytes.len() < head_ends + length {
        (stream.read_buf(&mut bytes).await.ok()? > 0).then_some(())?;
    }
    let path = head.split_whitespace().nth(1)?.to_owned();
    Some(Request { path, authorization: header("authorization"), body: bytes[head_ends..head_ends + length].to_vec() })
}

enum Reply {
    Body(u16, String),
    Drop,
    Endless,
}

async fn answer(body: &[u8], shared: &Arc<Mutex<Shared>>) -> Reply {
    let Ok(call) = serde_json::from_slice::<Value>(body) else {
        return Reply::Body(
            200,
            json!({"jsonrpc": "2.0", "id": null, "error": {"code": -32700, "message": "Parse error"}}).to_string(),
        );
    };
    let id = call["id"].clone();
    let error = |code: i64, message: String, data: Vec<Value>| {
        Reply::Body(
            200,
            json!({"jsonrpc": "2.0", "id": id, "error": {"code": code, "message": message, "data": data}}).to_string(),
        )
    };
    if call["method"] != "runCmds" || call["jsonrpc"] != "2.0" {
        return error(-32601, "Method not found".into(), Vec::new());
    }
    let Some(commands) = call["params"]["cmds"].as_array() else {
        return error(-32602, "Invalid params".into(), Vec::new());
    };
    let commands: Vec<String> = commands.iter().filter_map(|command| Some(command.as_str()?.to_owned())).collect();
    let json = call["params"]["format"] != "text";
    shared.lock().unwrap().calls.push(commands.iter().skip(1).cloned().collect());
    let (mut results, mut inside) = (Vec::new(), None);
    for (index, command) in commands.iter().enumerate() {
        let (dead, fault) = {
            let mut shared = shared.lock().unwrap();
            let at = shared.faults.iter().position(|(which, _)| match which.strip_prefix('*') {
                Some(end) => command.ends_with(end),
                None => command.starts_with(which.as_str()),
            });
            let fault = at.map(|at| shared.faults.remove(at).1);
            shared.dead |= fault == Some(Fault::Die);
            (shared.dead, fault)
        };
        if dead {
            std::future::pending::<()>().await;
        }
        let mut takes = Duration::ZERO;
        let mut failed = None;
        match &fault {
            Some(Fault::DropBefore) => return Reply::Drop,
            Some(Fault::Slow(time)) => tokio::time::sleep(*time).await,
            Some(Fault::DropDuring(time)) => takes = *time,
            Some(Fault::Answer(status, body)) => return Reply::Body(*status, body.clone()),
            Some(Fault::Endless) => return Reply::Endless,
            Some(Fault::Fail(code, words)) => failed = Some(Complaint { code: *code, words: words.clone() }),
            Some(Fault::DropAfter | Fault::Die | Fault::Ignore) | None => {}
        }
        let done = match failed {
            Some(complaint) => Err(complaint),
            None if fault == Some(Fault::Ignore) => Ok(json!({"output": ""})),
            None => shared.lock().unwrap().switch.run(command, json, &mut inside, takes),
        };
        if matches!(fault, Some(Fault::DropAfter | Fault::DropDuring(_))) {
            return Reply::Drop;
        }
        match done {
            Ok(value) => results.push(value),
            Err(complaint) => {
                let what = if complaint.code == 1002 { "invalid command" } else { "could not run command" };
                let (nth, all) = (index + 1, commands.len());
                results.push(json!({"errors": [complaint.words]}));
                return error(
                    complaint.code,
                    format!("CLI command {nth} of {all} '{command}' failed: {what}"),
                    results,
                );
            }
        }
    }
    Reply::Body(200, json!({"jsonrpc": "2.0", "id": id, "result": results}).to_string())
}
