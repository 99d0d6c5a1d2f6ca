//! A CONNECT proxy in front of the sandbox, for clients whose hosts can't be changed.
//!
//! It answers for the vendors' hosts with certificates of its own authority, and hands what it
//! decrypts to the sandbox's port. Every other host is refused: nothing ever leaves this machine.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use jiff::Timestamp;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;

use super::SandboxError;
use super::authority::Authority;
use super::hosts;

/// The longest head of a request to the proxy itself.
const LONGEST_HEAD: usize = 16 << 10;

/// How long a client may take until TLS stands.
const PATIENCE: Duration = Duration::from_secs(30);

/// A proxy that runs, until it is dropped.
pub struct Proxy {
    address: SocketAddr,
    authority: Arc<Authority>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Proxy {
    /// Listens beside `sandbox`, on a thread of its own.
    pub(super) fn start(sandbox: SocketAddr, now: Timestamp) -> Result<Self, SandboxError> {
        let authority = Authority::new(now).map_err(|error| SandboxError::Certificate(error.to_string()))?;
        let authority = Arc::new(authority);
        let listen = SocketAddr::new(sandbox.ip(), 0);
        let failed = |source| SandboxError::Listen { address: listen, source };
        let listener = std::net::TcpListener::bind(listen).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(SandboxError::Thread)?;
        let (stop, stopped) = oneshot::channel();
        let door = Door { sandbox, authority: Arc::clone(&authority) };
        let run = move || {
            runtime.block_on(async {
                let Ok(listener) = TcpListener::from_std(listener) else { return };
                tokio::select! {
                    () = door.serve(listener) => {}
                    _ = stopped => {}
                }
            });
        };
        let thread = std::thread::Builder::new().name("sandbox proxy".to_owned()).spawn(run);
        let thread = Some(thread.map_err(SandboxError::Thread)?);
        Ok(Self { address, authority, stop: Some(stop), thread })
    }

    /// `http://127.0.0.1:PORT`, for `HTTPS_PROXY`.
    pub fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The certificate that its clients must trust, in PEM.
    pub fn certificate(&self) -> String {
        self.authority.pem()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// What every connection needs.
#[derive(Clone)]
struct Door {
    sandbox: SocketAddr,
    authority: Arc<Authority>,
}

impl Door {
    async fn serve(self, listener: TcpListener) {
        loop {
            match listener.accept().await {
                // A client that breaks off is no one's error.
                Ok((stream, _)) => drop(tokio::spawn(self.clone().serve_one(stream))),
                // Out of descriptors, for example: others will close.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }

    async fn serve_one(self, mut stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let asked = tokio::time::timeout(PATIENCE, head(&mut stream)).await??;
        let host = match host(&asked) {
            Ok(host) => host,
            Err(why) => return refuse(&mut stream, &why).await,
        };
        let config = self.authority.of_host(&host).map_err(|error| io::Error::other(error.to_string()))?;
        stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
        let accepted = TlsAcceptor::from(config).accept(stream);
        let mut inside = tokio::time::timeout(PATIENCE, accepted).await??;
        let mut sandbox = TcpStream::connect(self.sandbox).await?;
        sandbox.set_nodelay(true)?;
        copy_bidirectional(&mut inside, &mut sandbox).await.map(drop)
    }
}

/// The head of a request to the proxy. Byte by byte: what follows it is TLS and is not ours to read.
async fn head(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() == LONGEST_HEAD {
            return Err(io::ErrorKind::InvalidData.into());
        }
        head.push(stream.read_u8().await?);
    }
    Ok(head)
}

/// The vendor's host that a CONNECT asks for, or why it is refused.
fn host(head: &[u8]) -> Result<String, String> {
    let text = String::from_utf8_lossy(head);
    let mut words = text.lines().next().unwrap_or_default().split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    if method != "CONNECT" {
        return Err("it answers CONNECT alone, for https; plain http goes to the sandbox's own port".into());
    }
    let (host, port) = target.rsplit_once(':').unwrap_or((target, ""));
    let host = host.to_ascii_lowercase();
    match (hosts::service(&host), port) {
        (Some(_), "443") => Ok(host),
        (Some(_), _) => Err(format!("{} is served on port 443 alone", shown(&host))),
        (None, _) => Err(format!("{} is no host of a vendor that it doubles", shown(&host))),
    }
}

/// A stranger's words, safe to print.
fn shown(host: &str) -> String {
    host.chars().filter(|c| c.is_ascii_graphic()).take(100).collect()
}

async fn refuse(stream: &mut TcpStream, why: &str) -> io::Result<()> {
    let body = format!("tokenform sandbox: {why}. Nothing was forwarded.\n");
    let head = "HTTP/1.1 502 Not forwarded\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close";
    let reply = format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    stream.write_all(reply.as_bytes()).await?;
    stream.shutdown().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_connect_to_a_vendor_is_let_in() {
        let asked = |text: &str| host(format!("{text} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes());
        assert_eq!(asked("CONNECT IAM.cloud.ibm.com:443").unwrap(), "iam.cloud.ibm.com");
        for (text, word) in [
            ("CONNECT iam.cloud.ibm.com:22", "port 443"),
            ("CONNECT iam.cloud.ibm.com", "port 443"),
            ("CONNECT example.com:443", "example.com is no host"),
            ("CONNECT iam.cloud.ibm.com@example.com:443", "no host"),
            ("CONNECT [::1]:443", "no host"),
            ("GET http://iam.cloud.ibm.com/identity/token", "CONNECT alone"),
            ("", "CONNECT alone"),
        ] {
            let why = asked(text).unwrap_err();
            assert!(why.contains(word), "{text}: {why}");
        }
    }
}
