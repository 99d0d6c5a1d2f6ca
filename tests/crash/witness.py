"""Stands between the program and the vendors' server, sees every request and reply, and kills.

What it knows comes from the traffic alone, so that it serves with any server: which teams were reset
and when, which tokens were created with which secret, what the last lists showed.
"""

import http.client
import json
import re
import socketserver
import threading
import time
from http.server import BaseHTTPRequestHandler

TOKENS = re.compile(r"^/santaba/rest/setting/admins/(\d+)/apitokens(?:\?.*)?$")


class Kill:
    """The death of one run: at its nth request, before or after the server worked, or at an instant."""

    def __init__(self, phase, nth=0, delay=0.0):
        self.phase, self.nth, self.delay = phase, nth, delay
        self.process = None
        self.count = 0

    @classmethod
    def drawn(cls, dice, requests, seconds):
        """Half of them by the clock, half by what is on the wire."""
        if dice.random() < 0.5:
            return cls("instant", delay=dice.uniform(0, seconds))
        phase = dice.choice(["lost", "asked", "answered", "told"])
        return cls(phase, dice.randint(1, requests), dice.choice([0.0, 0.0, dice.uniform(0, 0.02)]))

    def begin(self, process):
        self.process = process
        if self.phase == "instant":
            threading.Timer(self.delay, self.strike).start()

    def strike(self):
        if self.process is not None:
            self.process.kill()

    def at(self, phase, number):
        if self.phase == phase and self.nth == number:
            time.sleep(self.delay)
            self.strike()
            return True
        return False


class Front(socketserver.ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, *_):
        """A client that is killed resets its connections."""


class Witness:
    """A recording proxy in front of one server."""

    def __init__(self, server, reset, held):
        self.server, self.reset, self.held = server, re.compile(reset), held
        self.lock = threading.Lock()
        self.kill = None
        self.secrets = set()
        self.keys = {}      # (instance, team) -> its present key
        self.fresh = set()  # keys that a reset in this estate has made
        self.resets = {}    # (instance, team) -> number of its last reset
        self.reads = {}     # (instance, team) -> number of the last time its key was read
        self.teams = {}     # instance -> ids of its teams
        self.created = {}   # token id -> (name, secret)
        self.lists = {}     # (user, kind) -> rows of the last list
        self.number = 0
        self.repeated, self.early_locks = [], []
        self.front = Front(("127.0.0.1", 0), self.handler())
        self.origin = f"http://127.0.0.1:{self.front.server_address[1]}"
        threading.Thread(target=self.front.serve_forever, daemon=True).start()

    def close(self):
        self.front.shutdown()
        self.front.server_close()

    def handler(witness):
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def forward(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                try:
                    reply = witness.carry(self.command, self.path, self.headers, body)
                    if reply is None:
                        self.close_connection = True
                        return
                    number, status, headers, answer = reply
                    head = "".join(f"{name}: {value}\r\n" for name, value in headers)
                    head += f"Content-Length: {len(answer)}\r\n"
                    self.wfile.write(f"HTTP/1.1 {status} X\r\n{head}\r\n".encode() + answer)
                    witness.die("told", number)
                except OSError:  # who asked is dead
                    self.close_connection = True

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = forward

            def log_message(self, *_):
                pass

        return Handler

    def die(self, phase, number):
        kill = self.kill
        return kill is not None and kill.at(phase, number)

    def carry(self, method, path, headers, body):
        with self.lock:
            number = 0
            if self.kill is not None:
                self.kill.count += 1
                number = self.kill.count
        if self.die("lost", number):
            return None
        self.die("asked", number)
        headers = {name.lower(): value for name, value in headers.items()}
        self.judge(method, path, headers, body)
        line = http.client.HTTPConnection(*self.server, timeout=60)
        kept = {name: value for name, value in headers.items() if name not in ("host", "connection", "content-length")}
        line.request(method, path, body or None, kept)
        reply = line.getresponse()
        answer = reply.read()
        line.close()
        with self.lock:
            self.number += 1
            self.learn(method, path, headers, body, reply.status, answer)
        self.die("answered", number)
        skipped = ("content-length", "transfer-encoding", "connection")
        return number, reply.status, [h for h in reply.getheaders() if h[0].lower() not in skipped], answer

    def judge(self, method, path, headers, body):
        """Looks at a request before it is let through: nothing delivered is reset, nothing uncovered locked."""
        with self.lock:
            if self.is_reset(method, path):
                team = place(headers)
                key = self.keys.get(team)
                if key in self.fresh and key in self.held():
                    self.repeated.append(f"{team}: reset after its new value was delivered")
            if method == "PATCH" and b"IAM_ONLY" in body and path.startswith("/v2/resource_instances/"):
                guid = path.rsplit("/", 1)[1]
                for team in self.teams.get(guid, ()):
                    reset, read = self.resets.get((guid, team)), self.reads.get((guid, team), 0)
                    if reset is None or read < reset:
                        self.early_locks.append(f"{guid}: locked before team {team} was reset and read back")

    def is_reset(self, method, path):
        return method in ("POST", "PUT") and self.reset.search(path) is not None

    def learn(self, method, path, headers, body, status, answer):
        if not 200 <= status < 300:
            return
        if self.is_reset(method, path):
            self.resets[place(headers)] = self.number
            self.keys.pop(place(headers), None)
        try:
            answer = json.loads(answer)
        except ValueError:
            return
        team = place(headers)
        if method == "GET" and path == "/api/token":
            key = answer.get("token", {}).get("key")
            self.reads[team] = self.number
            self.keys[team] = key
            self.secrets.add(key)
            if team in self.resets:
                self.fresh.add(key)
        elif method == "GET" and path.startswith("/api/teams"):
            self.teams[team[0]] = {row["id"] for row in answer.get("teams", [])}
        elif match := TOKENS.match(path):
            self.tokens(method, match[1], "bearer" if "type=bearer" in path else "api", body, answer)

    def tokens(self, method, user, kind, body, answer):
        if method == "POST" and answer.get("accessKey"):
            name = json.loads(body or b"{}").get("note", "").split(" ;tf1 ")[0]
            self.created[answer["id"]] = (f"{user} {kind} {name}", answer["accessKey"])
            self.secrets.add(answer["accessKey"])
        elif method == "GET" and "items" in answer:
            self.lists[user, kind] = answer["items"]

    def living(self):
        """Created tokens that the last lists still show as enabled."""
        shown = {row["id"]: row for rows in self.lists.values() for row in rows}
        alive = {id for id, row in shown.items() if row.get("status") == 2}
        return {id: token for id, token in self.created.items() if id in alive}


def place(headers):
    """The instance and the team that a request is about."""
    return headers.get("ibminstanceid"), int(headers.get("teamid") or 0)
