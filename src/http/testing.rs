//! A tiny server for tests: answers each request by a function, records what it saw, can hang up.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::env::{Clock, Dice, Env, Vars};
use crate::model::vendor_sample::{VendorSample, pairs};

/// A request as it arrived.
#[derive(Clone, Debug, Default)]
pub struct Got {
    pub method: String,
    /// Path and query, as sent.
    pub target: String,
    /// Names in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

/// What the server does with a request.
pub enum Play {
    Reply(u16, Vec<(&'static str, String)>, String),
    /// Closes the connection without a word.
    HangUp,
}

impl Play {
    pub fn json(status: u16, body: impl Into<String>) -> Self {
        Self::Reply(status, vec![("content-type", "application/json".into())], body.into())
    }
}

impl From<&VendorSample> for Play {
    fn from(sample: &VendorSample) -> Self {
        let mut headers = vec![("content-type", "application/json".to_owned())];
        let retry = sample.reply.headers.get("Retry-After");
        headers.extend(retry.map(|value| ("retry-after", value.clone())));
        Self::Reply(sample.reply.status, headers, sample.reply.body.to_string())
    }
}

impl Got {
    /// Holds when this is the request of a sample; `Authorization` is of this scheme.
    #[track_caller]
    pub fn is(&self, sample: &VendorSample, scheme: &str) {
        let path = self.target.split('?').next().unwrap();
        assert_eq!((self.method.as_str(), path), (sample.request.method.as_str(), sample.path()));
        assert_eq!(pairs(&self.target), sample.query());
        assert_eq!(self.body, sample.request.body);
        for (name, value) in &sample.request.headers {
            assert_eq!(self.headers.get(&name.to_ascii_lowercase()), Some(value), "{name}");
        }
        let proof = self.headers.get("authorization").map_or("", String::as_str);
        assert!(proof.starts_with(scheme) && proof.is_empty() == scheme.is_empty(), "{scheme}");
    }
}

/// A server that lives as long as the test's runtime.
pub struct Server {
    pub origin: String,
    got: Rc<RefCell<Vec<Got>>>,
}

impl Server {
    /// Must run inside a `LocalSet`; see [`run`].
    pub async fn start(play: impl FnMut(&Got) -> Play + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let got: Rc<RefCell<Vec<Got>>> = Rc::default();
        let play = Rc::new(RefCell::new(play));
        let log = Rc::clone(&got);
        tokio::task::spawn_local(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (play, log) = (Rc::clone(&play), Rc::clone(&log));
                tokio::task::spawn_local(async move { serve(stream, play, log).await });
            }
        });
        Self { origin, got }
    }

    pub fn got(&self) -> Vec<Got> {
        self.got.borrow().clone()
    }
}

/// A server that takes its time, and the most requests that it had at once.
pub async fn busy() -> (String, Rc<Cell<usize>>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    let (now, most): (Rc<Cell<usize>>, Rc<Cell<usize>>) = Default::default();
    let highest = Rc::clone(&most);
    tokio::task::spawn_local(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (now, most) = (Rc::clone(&now), Rc::clone(&most));
            tokio::task::spawn_local(async move {
                let Some(_) = receive(&mut stream).await else { return };
                now.set(now.get() + 1);
                most.set(most.get().max(now.get()));
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                now.set(now.get() - 1);
                let reply = "HTTP/1.1 200 X\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: 11\r\n\r\n{\"ok\":true}";
                let _ = stream.write_all(reply.as_bytes()).await;
                let _ = stream.shutdown().await;
            });
        }
    });
    (origin, highest)
}

async fn serve(
    mut stream: TcpStream,
    play: Rc<RefCell<impl FnMut(&Got) -> Play>>,
    log: Rc<RefCell<Vec<Got>>>,
) {
    let Some(got) = receive(&mut stream).await else { return };
    log.borrow_mut().push(got.clone());
    let played = (play.borrow_mut())(&got);
    let Play::Reply(status, headers, body) = played else { return };
    let mut text = format!("HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {}\r\n", body.len());
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str("\r\n");
    text.push_str(&body);
    let _ = stream.write_all(text.as_bytes()).await;
    let _ = stream.shutdown().await;
}

async fn receive(stream: &mut TcpStream) -> Option<Got> {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let n = stream.read(&mut chunk).await.ok().filter(|n| *n > 0)?;
        bytes.extend_from_slice(&chunk[..n]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let mut lines = head.split("\r\n");
        let mut first = lines.next()?.split(' ').map(str::to_owned);
        let headers: BTreeMap<String, String> = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        let length = headers.get("content-length").map_or(0, |n| n.parse().unwrap());
        if body.len() >= length {
            return Some(Got {
                method: first.next()?,
                target: first.next()?,
                headers,
                body: body.to_owned(),
            });
        }
    }
}

/// Runs a test on one thread with local tasks.
pub fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, test);
}

/// An environment with a standing clock, fixed dice and only these variables.
pub fn env(vars: &[(&str, &str)]) -> Env {
    let vars = vars.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Env {
        clock: Clock::simulated(Some("2026-11-22T10:00:00Z".parse().unwrap())),
        dice: Dice::seeded(7),
        vars: Vars::only(vars),
        ..Env::system()
    }
}
