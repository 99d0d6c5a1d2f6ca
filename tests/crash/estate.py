"""One estate: a server process, a witness in front of it, a spec, and the runs that are killed."""

import datetime
import json
import os
import pathlib
import re
import shlex
import shutil
import socket
import subprocess
import tempfile
import time

from witness import Kill, Witness

INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
LONGEST = 300  # seconds; a run that takes longer hangs


class Server:
    """A process that is the vendors, or one that runs already."""

    def __init__(self, wish, folder):
        self.vars = dict(wish.env)
        self.process = None
        if wish.url:
            host, port = wish.url.split("://")[-1].rstrip("/").split(":")
            self.address = (host, int(port))
            return
        if wish.server:
            self.address = ("127.0.0.1", free_port())
            command = wish.server.replace("{port}", str(self.address[1]))
            self.process = subprocess.Popen(shlex.split(command), stdout=subprocess.DEVNULL, cwd=folder)
            wait_for(self.address)
            return
        world = folder / "crash.world.yaml"
        world.write_text(of_today(wish.world.read_text()))
        command = [wish.tokenform, "sandbox", "--world", str(world), "--listen", "127.0.0.1:0"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        for line in self.process.stdout:
            name, value = shlex.split(line)[1].split("=", 1)
            self.vars[name] = value
            if name.endswith("_BEARER"):
                break
        host, port = self.vars.pop("TOKENFORM_SANDBOX_ORIGIN").split("://")[1].split(":")
        self.address = (host, int(port))

    def stop(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()


class Estate:
    """Runs the program, kills it, runs it again, until it is done; then looks at everything."""

    def __init__(self, wish, dice):
        self.wish, self.dice = wish, dice
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="tokenform-crash-"))
        for inner in ("spec", "held", "runs"):
            (self.folder / inner).mkdir()
        self.server = Server(wish, self.folder)
        self.witness = Witness(self.server.address, wish.reset, self.held)
        (self.folder / "spec/tokens.yaml").write_text(wish.spec.read_text().replace("ORIGIN", self.witness.origin))
        shutil.copy(wish.store, self.folder / "store.sh")
        self.runs = 0
        self.kills = 0
        self.wrong = []

    def live(self, enough):
        """The whole life of an estate. Nothing is killed any more when there were kills enough."""
        try:
            for _ in range(self.wish.kills):
                if enough():
                    break
                kill = Kill.drawn(self.dice, self.wish.requests, self.wish.seconds)
                if self.run(self.wish.apply, kill) == 0:
                    break
            for _ in range(4):
                code = self.run(self.wish.apply)
                if code == 0:
                    break
            else:
                self.tell("not converged", f"exit {code} after four undisturbed runs")
            code = self.run(["plan", "spec", "--detailed-exitcode"])
            if code != 0:
                self.tell("not converged", f"the plan after it ends with {code}")
            self.look()
        finally:
            self.witness.close()
            self.server.stop()

    def run(self, args, kill=None):
        self.runs += 1
        self.witness.kill = kill
        out = self.folder / f"runs/{self.runs}.out"
        env = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "USER": "crash", **self.server.vars}
        with open(out, "wb") as file:
            process = subprocess.Popen([self.wish.tokenform, *args], cwd=self.folder, env=env,
                                       stdin=subprocess.DEVNULL, stdout=file, stderr=file)
            if kill is not None:
                kill.begin(process)
            try:
                code = process.wait(LONGEST)
            except subprocess.TimeoutExpired:
                process.kill()
                code = process.wait()
                self.tell("not converged", f"run {self.runs} hung")
        if kill is not None:
            kill.process = None
        if code == -9:
            self.kills += 1
            self.wish.told()
        elif code not in (0, 6):
            self.tell("not converged", f"run {self.runs} ended with {code}: {out.read_text()[-2000:]}")
        if b"panicked" in out.read_bytes():
            self.tell("not converged", f"run {self.runs} panicked")
        self.leaks()
        return code

    def held(self):
        """Every byte at destinations, with the escapes of dotenv and JSON taken away."""
        texts = []
        for path in sorted((self.folder / "held").iterdir()):
            text = path.read_text(errors="replace")
            texts.append(text)
            if path.suffix == ".json":
                texts += json.loads(text or "{}").values()
            texts.append(re.sub(r"\\(.)", r"\1", text))
        return "\n".join(texts)

    def leaks(self):
        secrets = {s for s in self.witness.secrets | set(self.server.vars.values()) if s and len(s) > 9}
        public = {value for name, value in self.server.vars.items() if name.endswith("_ID")}
        for path in self.folder.rglob("*"):
            inner = path.relative_to(self.folder)
            if path.is_dir() or inner.parts[0] == "held" or inner.name == "crash.world.yaml":
                continue
            try:
                text = path.read_text(errors="replace")
            except FileNotFoundError:
                continue
            if any(secret in text for secret in secrets - public):
                self.tell("leaked canaries", f"a secret is in {inner}")

    def look(self):
        """The four zeros, at the end."""
        held, witness = self.held(), self.witness
        living = witness.living()
        for name, secret in living.values():
            if secret not in held:
                self.tell("lost secrets", f"{name} lives, and its value is nowhere")
        names = [name for name, _ in living.values()]
        for name in {name for name in names if names.count(name) > 1}:
            self.tell("second live tokens", name)
        working = {key for key in witness.keys.values() if key} | {secret for _, secret in living.values()}
        for dead in witness.secrets - working:
            if dead and dead in held:
                self.tell("lost secrets", "a destination holds a value that does not work")
        for path in (self.folder / "held").glob(".*"):
            self.tell("lost secrets", f"a draft was left behind: {path.name}")
        for text in witness.repeated:
            self.tell("repeated delivered resets", text)
        for text in witness.early_locks:
            self.tell("locks before resets", text)

    def tell(self, what, text):
        if (what, text) not in self.wrong:
            self.wrong.append((what, text))

    def clear(self):
        shutil.rmtree(self.folder)


def of_today(world):
    """A world whose clock is the machine's: its instants are moved by as much."""
    clock = re.search(r"^clock: *(\S+)\n", world, re.M)
    if clock is None:
        return world
    read = lambda text: datetime.datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ")
    ahead = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None, microsecond=0) - read(clock[1])
    moved = lambda match: (read(match[0]) + ahead).strftime("%Y-%m-%dT%H:%M:%SZ")
    return INSTANT.sub(moved, world.replace(clock[0], ""))


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(address):
    for _ in range(200):
        try:
            socket.create_connection(address).close()
            return
        except OSError:
            time.sleep(0.05)
    raise SystemExit(f"no server listens on {address}")
