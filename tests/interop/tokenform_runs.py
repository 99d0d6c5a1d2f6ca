"""tokenform itself in live mode, once at the sandbox's port and once at the vendors' own hosts."""

import os
import pathlib
import subprocess

SPEC = """
version: 1
ibm:
  prod:
    credential: {{ api_key: {{ env: IBM_API_KEY }} }}
    token_reset: {{ method: POST, path: /sandbox-invented/api/token/reset }}
    {ibm_endpoints}
    instances:
      mon-{run}:
        service: monitoring
        region: us-south
        external_api_auth: IAM_ONLY
        teams: {{ SRE: {{}} }}
logicmonitor:
  by-signature:
    account: acme
    {lm_endpoint}
    credential: {{ lmv1: {{ access_id: {{ env: LM_ID }}, access_key: {{ env: LM_KEY }} }} }}
    users: {{ svc-{run}-lmv1: {tokens} }}
  by-bearer:
    account: acme
    {lm_endpoint}
    credential: {{ bearer: {{ env: LM_BEARER }} }}
    users: {{ svc-{run}-bearer: {tokens} }}
destinations:
  lmv1: {{ file: {{ path: lmv1.json, format: json }} }}
  bearer: {{ file: {{ path: bearer.json, format: json }} }}
"""

# Of each kind one token to create, one to disable, one to delete; and two predecessors to retire: one to
# disable with a note, one to delete after a look at the audit log.
TOKENS = """
      api_tokens:
        fresh: { status: enabled, deliver: [ { to: DESTINATION, key: key, id_key: id } ] }
        busy: { status: disabled }
        past: { status: absent }
        worn: { rotate: {} }
        soaked: { rotate: {} }
      bearer_tokens:
        fresh: { status: enabled, deliver: [ { to: DESTINATION, key: bearer } ] }
        busy: { status: disabled }
        past: { status: absent }
"""

# The calls, among others, that one apply makes.
EFFECTS = {"reset": 2, "lock": 1, "create": 4, "patch": 6, "delete": 6}


def spec(run, origin):
    """The spec of a run; without an origin it reaches for the vendors' own hosts."""
    ibm = {name: origin for name in ("iam", "resource_controller", "monitoring", "workload_protection")}
    text = SPEC.format(
        run=run,
        ibm_endpoints="endpoints: {%s}" % ", ".join(f"{k}: '{v}'" for k, v in ibm.items()) if origin else "",
        lm_endpoint=f"endpoint: '{origin}'" if origin else "",
        tokens="TOKENS",
    )
    for scheme in ("lmv1", "bearer"):
        tokens = TOKENS.replace("DESTINATION", scheme)
        text = text.replace(f"users: {{ svc-{run}-{scheme}: TOKENS }}", f"users:\n      svc-{run}-{scheme}:" + tokens.replace("\n", "\n    "))
    return text


class Run:
    """One apply, and what the tape has of it."""

    def __init__(self, sandbox, folder, name, origin=None):
        self.sandbox = sandbox
        self.folder = pathlib.Path(folder) / name
        self.folder.mkdir()
        (self.folder / "tokens.yaml").write_text(spec(name, origin))
        self.name = name
        self.tape = []

    def tokenform(self, *words):
        variables = {
            **os.environ,
            "IBM_API_KEY": self.sandbox.api_key,
            "LM_ID": self.sandbox.access_id,
            "LM_KEY": self.sandbox.access_key,
            "LM_BEARER": self.sandbox.bearer,
        }
        command = [os.environ["TOKENFORM"], *words]
        done = subprocess.run(command, cwd=self.folder, env=variables, capture_output=True, text=True, timeout=120)
        return done.returncode, done.stdout + done.stderr

    def apply(self):
        since = self.sandbox.now()
        code, said = self.tokenform("apply", "tokens.yaml", "--auto-approve", "--new-state")
        self.tape = self.sandbox.tape(since)
        assert code == 0, f"exit {code}\n{said}"
        effects = [entry["effect"] for entry in self.tape if entry["effect"]]
        assert {effect: effects.count(effect) for effect in set(effects)} == EFFECTS, effects

    def converged(self):
        code, said = self.tokenform("plan", "tokens.yaml", "--detailed-exitcode")
        assert code == 0 and "No changes" in said, f"exit {code}\n{said}"
