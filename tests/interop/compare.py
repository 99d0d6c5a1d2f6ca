"""What tokenform sends, held against what the vendors' clients send for the same calls; from the tape.

Everything that tokenform sends must be something that a vendor's client sends for that call, or stand
in one of the tables below with its reason. A row of a table that explains nothing is a failure too.
"""

import copy
import json
import re
from urllib.parse import parse_qsl, unquote

from harness import header

LM = "/santaba/rest/setting/admins"
LOG = "/santaba/rest/setting/accesslogs"

# The calls that both sides must have made; those of LogicMonitor under each authentication.
SAME = [
    "POST /identity/token",
    "GET /v2/resource_instances",
    "GET /v2/resource_instances/{guid}",
    "PATCH /v2/resource_instances/{guid}",
    "GET /api/teams",
    "GET /api/token",
    "GET /api/users/me",
]
for scheme in ("LMv1", "Bearer"):
    SAME += [
        f"{scheme} GET {LM}",
        f"{scheme} GET {LM}/{{id}}",
        f"{scheme} GET {LOG}",
        f"{scheme} PATCH {LM}/{{id}}/apitokens/{{id}}",
        f"{scheme} DELETE {LM}/{{id}}/apitokens/{{id}}",
    ]
    for kind in ("", "?type=bearer"):
        SAME += [
            f"{scheme} GET {LM}/apitokens{kind}",
            f"{scheme} GET {LM}/{{id}}/apitokens{kind}",
            f"{scheme} POST {LM}/{{id}}/apitokens{kind}",
        ]

# One call under two paths.
ALIASES = {
    "GET /api/user/me": ("GET /api/users/me", "sdcclient has the older path; IBM documents /api/users/me"),
}

# What only tokenform calls.
ONLY_OURS = {
    "POST /sandbox-invented/api/token/reset": "IBM publishes no reset call and no client has one; the spec names it",
    "GET /santaba/rest/setting/companySetting": "not in the SDK; LogicMonitor's PowerShell module reads it: after how many unused days tokens are disabled",
}

# What only the clients call.
ONLY_THEIRS = {
    f"{scheme} PUT {LM}/{{id}}/apitokens/{{id}}": "PUT resets what it leaves out, the status too: we send PATCH"
    for scheme in ("LMv1", "Bearer")
}

# (call without its scheme, facet): (what tokenform sends, why the clients send something else).
EXPLAINED = {
    ("GET /api/teams", "accept"): ("application/json", "sdcclient leaves the */* of requests"),
    ("GET /api/token", "accept"): ("application/json", "sdcclient leaves the */* of requests"),
    ("GET /api/users/me", "accept"): ("application/json", "sdcclient leaves the */* of requests"),
    ("GET /api/token", "team"): (
        "sysdigteamid={id} teamid={id}",
        "IBM's pages say SysdigTeamID, older ones TeamID, which is what sdcclient is given: we send both",
    ),
    ("PATCH /v2/resource_instances/{guid}", "transaction-id"): (
        "{guid}",
        "optional and documented: what IBM's support looks for; the SDK leaves it to its caller",
    ),
    (f"DELETE {LM}/{{id}}/apitokens/{{id}}", "body"): ("", "the SDK sends and signs {}; we send no body, as lm-mcp"),
    (f"DELETE {LM}/{{id}}/apitokens/{{id}}", "content-type"): ("", "it goes with the body"),
}

HEADERS = ("accept", "ibminstanceid", "transaction-id")
GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def named(text):
    """Ids and GUIDs differ from run to run."""
    return re.sub(r"(?<![\w-])\d+(?![\w-])", "{id}", GUID.sub("{guid}", text))


def scheme_of(entry):
    return (header(entry, "authorization") or "none").split(" ")[0]


def call(entry):
    """What is asked for, without its details."""
    path = "/".join(named(unquote(part)) for part in entry["path"].split("/"))
    text = f"{entry['method']} {path}"
    if path.startswith((LM, LOG)):
        kind = dict(parse_qsl(entry["query"])).get("type")
        return f"{scheme_of(entry)} {text}" + (f"?type={kind}" if kind else "")
    return ALIASES.get(text, (text,))[0]


def shape(value):
    """JSON with the values left out."""
    if isinstance(value, dict):
        return {key: shape(value[key]) for key in sorted(value)}
    if isinstance(value, list):
        return [shape(item) for item in value]
    return type(value).__name__


def body(entry):
    text = entry["body"]
    if not text:
        return ""
    if "form-urlencoded" in (header(entry, "content-type") or ""):
        return "&".join(sorted(text.split("&")))
    return json.dumps(shape(json.loads(text)))


def facets(entry):
    """What of a request is compared, each as text."""
    found = {name: named(header(entry, name) or "") for name in HEADERS}
    # Together: leaving one of the two out must be seen.
    teams = (f"{name}={named(header(entry, name))}" for name in ("sysdigteamid", "teamid") if header(entry, name))
    found["team"] = " ".join(teams)
    found["x-version"] = header(entry, "x-version") or ""
    found["scheme"] = scheme_of(entry)
    # As encoded on the wire; the order says nothing, and each client has an instance of its own.
    query = re.sub(r"\bname=mon-[a-z]+", "name=INSTANCE", entry["query"])
    # Instants differ from run to run.
    query = re.sub(r"(happenedOn%3[CE]%3A)\d+", r"\1SECONDS", query)
    found["query"] = "&".join(sorted(query.split("&")))
    found["body"] = body(entry)
    found["content-type"] = (header(entry, "content-type") or "") if entry["body"] else ""
    return found


def by_call(tape):
    calls = {}
    for entry in tape:
        seen = calls.setdefault(call(entry), {})
        for facet, value in facets(entry).items():
            seen.setdefault(facet, set()).add(value)
    return calls


def differences(ours, theirs):
    """Every difference between two tapes that no table explains, and every row that explains nothing."""
    ours, theirs = by_call(ours), by_call(theirs)
    found, used = [], set()
    for name in SAME:
        found += [f"{name}: not called by {who}" for who, side in (("us", ours), ("them", theirs)) if name not in side]
    for name in sorted(ours.keys() - theirs.keys() - ONLY_OURS.keys() - set(SAME)):
        found.append(f"{name}: only tokenform calls it")
    for name in sorted(ours.keys() & theirs.keys()):
        bare = re.sub("^(LMv1|Bearer) ", "", name)
        for facet, values in ours[name].items():
            for value in sorted(values - theirs[name][facet]):
                used.add((bare, facet))
                if EXPLAINED.get((bare, facet), (None,))[0] != value:
                    found.append(f"{name}: {facet} is {value!r}; theirs is {sorted(theirs[name][facet])}")
    found += [f"EXPLAINED has {row}, which is no difference" for row in sorted(EXPLAINED.keys() - used)]
    found += [f"ONLY_OURS has {name}, which we never call" for name in ONLY_OURS.keys() - ours.keys()]
    found += [f"ONLY_THEIRS has {name}" for name in ONLY_THEIRS if name in ours or name not in theirs]
    return found


# Damages to a request of ours, each of which the comparison must notice.
def without(name):
    return lambda entry: entry.update(headers=[pair for pair in entry["headers"] if pair[0] != name])


def replaced(name, value):
    return lambda entry: entry.update(headers=[[k, value if k == name else v] for k, v in entry["headers"]])


def put(member, value):
    return lambda entry: entry.update({member: value})


DAMAGES = [
    (f"LMv1 POST {LM}/{{id}}/apitokens", "no X-Version", without("x-version")),
    (f"LMv1 POST {LM}/{{id}}/apitokens", "another X-Version", replaced("x-version", "2")),
    (f"LMv1 POST {LM}/{{id}}/apitokens", "a form", replaced("content-type", "application/x-www-form-urlencoded")),
    (f"LMv1 POST {LM}/{{id}}/apitokens", "a status in quotes", put("body", '{"note":"x","status":"2"}')),
    (f"Bearer PATCH {LM}/{{id}}/apitokens/{{id}}", "PUT", put("method", "PUT")),
    (f"Bearer DELETE {LM}/{{id}}/apitokens/{{id}}", "another body", put("body", '{"id":1}')),
    (f"Bearer PATCH {LM}/{{id}}/apitokens/{{id}}", "another member", put("body", '{"status":1,"name":"x"}')),
    (f"Bearer GET {LOG}", "CSV", put("query", "format=csv&size=1000")),
    (f"LMv1 GET {LOG}", "another operator", put("query", "filter=happenedOn%3E1739000000&size=1000")),
    (f"Bearer GET {LM}", "another page size", put("query", "size=5000")),
    (f"LMv1 GET {LM}", "Basic", replaced("authorization", "Basic")),
    ("GET /v2/resource_instances", "another filter", put("query", "type=resource_instance&limit=100")),
    ("PATCH /v2/resource_instances/{guid}", "parameters as text", put("body", '{"parameters":"x"}')),
    ("GET /api/token", "no instance", without("ibminstanceid")),
    ("GET /api/token", "one team header", without("teamid")),
    ("GET /api/token", "another path", put("path", "/api/tokens")),
    ("POST /identity/token", "another grant", put("body", "grant_type=password&apikey=(masked)")),
]


def blind_spots(ours, theirs):
    """The damages that go unnoticed."""
    missed = []
    for name, what, damage in DAMAGES:
        tape = copy.deepcopy(ours)
        hit = [entry for entry in tape if call(entry) == name]
        for entry in hit:
            damage(entry)
        if not hit or not differences(tape, theirs):
            missed.append(f"{name}: {what}")
    return missed
