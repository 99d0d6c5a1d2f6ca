//! The sandbox as a process of its own, for runs in live mode against it.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

use serde_json::Value;

use crate::support::{Place, Ran};

/// A server of the vendors' APIs, as a process of its own.
pub struct Server {
    child: Child,
    /// What it exported: its origin and the credentials it issued.
    pub vars: BTreeMap<String, String>,
}

impl Server {
    pub fn start(place: &Place, world: &str) -> Self {
        place.write("w.world.yaml", world);
        let mut command = place.command(&["sandbox", "--world", "w.world.yaml", "--listen", "127.0.0.1:0"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let mut vars = BTreeMap::new();
        for line in lines {
            let (name, value) = line.strip_prefix("export ").unwrap().split_once('=').unwrap();
            let value = value.strip_prefix('\'').and_then(|v| v.strip_suffix('\'')).unwrap_or(value);
            vars.insert(name.to_owned(), value.replace(r"'\''", "'"));
            if name.ends_with("_BEARER") {
                break;
            }
        }
        Self { child, vars }
    }

    pub fn origin(&self) -> &str {
        &self.vars["TOKENFORM_SANDBOX_ORIGIN"]
    }

    /// The program in live mode, with this server's credentials.
    pub fn run(&self, place: &Place, args: &[&str]) -> Ran {
        let mut command = place.command(args);
        command.env("PATH", "/usr/bin:/bin").envs(&self.vars).output().unwrap().into()
    }

    /// A request to the server itself.
    pub fn ask(&self, request: &str, body: &str) -> Value {
        serde_json::from_str(self.send(request, "", body).split_once("\r\n\r\n").unwrap().1).unwrap()
    }

    /// The status that a consumer's request is answered with; each header ends in CR LF.
    pub fn status(&self, request: &str, headers: &str) -> u16 {
        let reply = self.send(request, headers, "");
        reply.split(' ').nth(1).unwrap().parse().unwrap()
    }

    /// By hand: an HTTP client would be one more thing to trust.
    fn send(&self, request: &str, headers: &str, body: &str) -> String {
        use std::io::{Read, Write};
        let address = self.origin().strip_prefix("http://").unwrap();
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        let length = body.len();
        write!(stream, "{request} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{headers}Content-Length: {length}\r\n\r\n{body}")
            .unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).unwrap();
        reply
    }

    /// What changed something, in order.
    pub fn effects(&self) -> Vec<String> {
        let tape = self.ask("GET /__sandbox/tape", "");
        let effects = tape.as_array().unwrap().iter().map(|e| e["effect"].as_str().unwrap().to_owned());
        effects.filter(|effect| !effect.is_empty()).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
