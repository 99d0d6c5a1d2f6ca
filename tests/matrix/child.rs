//! The program under test, as a child process of the matrix that stops where it was told to.
//!
//! It is the library's own command line, with an environment whose clock passes time at once and
//! whose points end the process or make a call fail. The released program has no such points.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::Duration;

use jiff::Timestamp;
use rustix::process::{Signal, getpid, kill_process};
use serde::{Deserialize, Serialize};
use tokenform::env::{Clock, Env, Point, Points};
use tokenform::sandbox::faults::glob;

/// The variable that makes this program the child; it holds [`Orders`] as JSON.
pub const ORDERS: &str = "TOKENFORM_MATRIX_ORDERS";

/// What the child is told.
#[derive(Serialize, Deserialize)]
pub struct Orders {
    /// The time on the vendors' clock.
    pub now: Timestamp,
    /// Where the vendors listen: `127.0.0.1:PORT`.
    pub vendors: String,
    /// The longest that one request may take, in real milliseconds.
    pub deadline_ms: u64,
    pub stop: Stop,
    /// Where each point is written down, a line each.
    pub points: Option<PathBuf>,
}

/// Where and how a run is disturbed. Points are counted from 1.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Stop {
    Nowhere,
    /// `SIGKILL`.
    Kill {
        at: usize,
    },
    /// Everything that runs is dropped, and the process ends.
    Unwind {
        at: usize,
    },
    /// What is done there fails, and so does everything from there on, so many times in all.
    Fail {
        at: usize,
        times: usize,
    },
    /// Requests of this method and path find no connection, from the nth on, so many times in all.
    Broken {
        method: String,
        path: String,
        nth: usize,
        times: usize,
        refused: bool,
    },
}

/// The orders, if this process is the child.
#[expect(clippy::disallowed_methods, reason = "the child is told by its environment that it is one")]
pub fn orders() -> Option<Orders> {
    let text = std::env::var(ORDERS).ok()?;
    Some(serde_json::from_str(&text).expect("the parent writes orders that can be read"))
}

/// Runs the program with this process's own arguments.
pub fn run(orders: Orders) -> ExitCode {
    let clock = Clock::simulated(Some(orders.now));
    let deadline = Duration::from_millis(orders.deadline_ms);
    let guard = Mutex::new(Guard::new(orders, clock.clone()));
    let points = Points::watched(move |point| guard.lock().map_or(Ok(()), |mut guard| guard.pass(point)));
    let env = Env { clock, deadline, points, ..Env::system() };
    tokenform::cli::run_with(std::env::args_os().collect(), env)
}

/// Who stands at the points.
struct Guard {
    orders: Orders,
    clock: Clock,
    /// Seconds that the vendors' clock was moved by.
    moved: u64,
    /// Points so far.
    count: usize,
    /// Requests so far of those that are to break.
    matched: usize,
    list: Option<File>,
}

impl Guard {
    fn new(orders: Orders, clock: Clock) -> Self {
        let list = orders.points.as_ref().map(|path| File::create(path).expect("the list of points"));
        Self { orders, clock, moved: 0, count: 0, matched: 0, list }
    }

    fn pass(&mut self, point: Point<'_>) -> io::Result<()> {
        if let Point::Leaving { .. } = point {
            self.sync_clocks();
        }
        self.count += 1;
        if let Some(list) = &mut self.list {
            writeln!(list, "{}", name(point))?;
        }
        let here = |from: usize, times: usize, now: usize| now >= from && now - from < times;
        match &self.orders.stop {
            Stop::Kill { at } if self.count == *at => die(),
            Stop::Unwind { at } if self.count == *at => panic!("the matrix unwinds point {at}"),
            Stop::Fail { at, times } if here(*at, *times, self.count) => {
                Err(io::Error::other("the matrix made it fail"))
            }
            Stop::Broken { method, path, nth, times, refused } if is(point, method, path) => {
                self.matched += 1;
                let kind = if *refused { ErrorKind::ConnectionRefused } else { ErrorKind::ConnectionReset };
                if here(*nth, *times, self.matched) { Err(kind.into()) } else { Ok(()) }
            }
            _ => Ok(()),
        }
    }

    /// The child's clock jumps when it waits. The vendors' follows before they are asked again.
    fn sync_clocks(&mut self) {
        let ms = self.clock.now().duration_since(self.orders.now).as_millis().unsigned_abs();
        let ahead = u64::try_from(ms.div_ceil(1000)).unwrap_or(0);
        if ahead > self.moved {
            let body = format!(r#"{{"advance":"{}s"}}"#, ahead - self.moved);
            post(&self.orders.vendors, "/__sandbox/clock", &body).expect("the vendors' clock can be moved");
            self.moved = ahead;
        }
    }
}

fn is(point: Point<'_>, wanted: &str, pattern: &str) -> bool {
    matches!(point, Point::Leaving { method, path } if method == wanted && glob(pattern, path))
}

/// A point in words, for people who look for what went wrong there.
fn name(point: Point<'_>) -> String {
    match point {
        Point::Recorded => "journal record on disk".to_owned(),
        Point::Kept(what) => format!("{what} on disk"),
        Point::Leaving { method, path } => format!("before {method} {path}"),
        Point::Arrived { method, path } => format!("after {method} {path}"),
        Point::HandingOver(to) => format!("before delivery to {to}"),
        Point::HandedOver(to) => format!("after delivery to {to}"),
    }
}

/// Nothing that this process could do runs after this.
fn die() -> ! {
    kill_process(getpid(), Signal::KILL).expect("a process may kill itself");
    loop {
        std::thread::park();
    }
}

fn post(address: &str, path: &str, body: &str) -> io::Result<()> {
    let mut stream = TcpStream::connect(address)?;
    let length = body.len();
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
    )?;
    let mut reply = String::new();
    stream.read_to_string(&mut reply)?;
    match reply.starts_with("HTTP/1.1 200") {
        true => Ok(()),
        false => Err(io::Error::other(reply)),
    }
}
