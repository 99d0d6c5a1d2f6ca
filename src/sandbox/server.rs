//! The server: one loopback port for all vendors, and connections that can be dropped unanswered.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::connect_info::Connected;
use axum::extract::{ConnectInfo, Request, State as Shared};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use axum::serve::{IncomingStream, Listener};
use futures_util::{StreamExt, stream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

use super::faults::Ending;
use super::state::{Answer, State, half};
use super::wire::{Call, Reply};

/// The longest body that is read.
const LARGEST_BODY: usize = 4 << 20;

/// The state that the server and its handle share.
pub type Cell = Arc<Mutex<State>>;

/// The state, whatever happened to a thread that held it.
pub fn lock(cell: &Cell) -> MutexGuard<'_, State> {
    cell.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Serves until the future is dropped.
pub async fn serve(listener: TcpListener, cell: Cell) -> io::Result<()> {
    let app = Router::new().fallback(handle).with_state(cell);
    axum::serve(Door(listener), app.into_make_service_with_connect_info::<Peer>()).await
}

async fn handle(
    Shared(cell): Shared<Cell>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, LARGEST_BODY).await else {
        return respond(Reply::text(413, "the body is too large or was cut off"));
    };
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers = parts.headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect();
    let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
    let call = Call::new(parts.method.as_str(), target, headers, body.to_vec(), peer.ip);
    let Answer { reply, ending, delay } = lock(&cell).answer(&call);
    if !delay.is_zero() {
        // Real time: a client's request deadline is real time too.
        tokio::time::sleep(delay).await;
    }
    match ending {
        Ending::Whole => {}
        Ending::Dropped => peer.line.store(DROPPED, Ordering::SeqCst),
        Ending::Reset => peer.line.store(RESET, Ordering::SeqCst),
        Ending::Never => std::future::pending().await,
        Ending::Cut | Ending::Stalled => return broken(reply, ending),
    }
    respond(reply)
}

/// A reply whose body is said to be whole, and stops in the middle.
fn broken(reply: Reply, ending: Ending) -> Response {
    let length = reply.body.len().max(1).to_string();
    let reply = reply.header("Content-Length", &length);
    let first = half(&reply.body);
    let mut response = respond(reply);
    let first = stream::once(async { Ok(Bytes::from(first)) });
    let rest = stream::once(async move {
        match ending {
            Ending::Stalled => std::future::pending().await,
            _ => {
                // the first half leaves when the body has nothing more to give for now
                tokio::task::yield_now().await;
                Err(io::Error::from(io::ErrorKind::ConnectionReset))
            }
        }
    });
    *response.body_mut() = Body::from_stream(first.chain(rest));
    response
}

fn respond(reply: Reply) -> Response {
    let mut response = Response::new(Body::from(reply.body));
    // A status from a fault rule may be no status at all.
    *response.status_mut() = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in reply.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

/// The listener: no delay on accepted sockets, and a switch that drops each.
struct Door(TcpListener);

impl Listener for Door {
    type Io = Line;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Line, SocketAddr) {
        let (stream, address) = Listener::accept(&mut self.0).await;
        // Nagle's algorithm costs 40 ms on pages; without the option it is only slower.
        let _ = stream.set_nodelay(true);
        (Line { stream, state: Arc::default() }, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

/// What a handler knows of its connection.
#[derive(Clone)]
struct Peer {
    ip: String,
    line: Arc<AtomicU8>,
}

impl Connected<IncomingStream<'_, Door>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Door>) -> Self {
        Self { ip: stream.remote_addr().ip().to_string(), line: stream.io().state.clone() }
    }
}

/// What became of a connection.
const OPEN: u8 = 0;
const DROPPED: u8 = 1;
const RESET: u8 = 2;

/// A connection. Once dropped or reset, nothing more is sent on it: the peer sees it close.
struct Line {
    stream: TcpStream,
    state: Arc<AtomicU8>,
}

impl Line {
    fn open(&self) -> io::Result<()> {
        let state = self.state.load(Ordering::SeqCst);
        if state == RESET {
            // Where the option fails, the peer sees the connection close, which it must bear as well.
            let _ = self.stream.set_zero_linger();
        }
        if state == OPEN { Ok(()) } else { Err(io::Error::from(io::ErrorKind::ConnectionReset)) }
    }
}

impl AsyncRead for Line {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.open()?;
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Line {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.open()?;
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
