"""LogicMonitor's SDK and lm-mcp's client, against the sandbox's own port, under both authentications."""

import asyncio
from urllib.parse import parse_qsl

import logicmonitor_sdk
from lm_mcp.auth.bearer import BearerAuth
from lm_mcp.auth.lmv1 import LMv1Auth
from lm_mcp.client.api import LogicMonitorClient
from logicmonitor_sdk.rest import ApiException

SCHEMES = ("LMv1", "Bearer")
KINDS = ({}, {"type": "bearer"})


def sdk(sandbox, scheme, host=None):
    """LogicMonitor's SDK; `host` stands in for the company's own."""
    configuration = logicmonitor_sdk.Configuration()
    configuration.company = "acme"
    if host:
        configuration._host = f"{host}/santaba/rest"
    if scheme == "LMv1":
        configuration.access_id, configuration.access_key = sandbox.access_id, sandbox.access_key
    else:
        configuration.auth_type, configuration.bearer_token = "Bearer", sandbox.bearer
    return logicmonitor_sdk.LMApi(logicmonitor_sdk.ApiClient(configuration))


class Sdk:
    """The vendor's SDK with one authentication, and a user of its own."""

    def __init__(self, sandbox, scheme):
        self.scheme = scheme
        self.sandbox = sandbox
        self.api = sdk(sandbox, scheme, sandbox.origin)
        self.name = f"svc-sdk-{scheme.lower()}"

    def run(self, report):
        say = f"logicmonitor_sdk, {self.scheme}:"
        report.check(f"{say} users, and one of them", self.users)
        for kind in KINDS:
            name = "bearer tokens" if kind else "API tokens"
            report.check(f"{say} {name}: create, list, patch, put, delete", self.life, kind)
        report.check(f"{say} an owner that does not exist is a 404 with the vendor's words", self.missing)
        report.check(f"{say} a wrong credential is a 401", self.refused)

    def users(self):
        users = self.api.get_admin_list(size=50).items
        self.id = next(user.id for user in users if user.username == self.name)
        assert self.api.get_admin_by_id(self.id).username == self.name

    def life(self, kind):
        note = 'made by the sdk é "q"'
        made = self.api.add_api_token_by_admin_id(self.id, {"note": note, "status": 2}, **kind)
        assert made.access_key and (made.access_id is None) == bool(kind)
        listed = self.api.get_api_token_list_by_admin_id(self.id, **kind).items
        assert [(row.id, row.note, row.status) for row in listed] == [(made.id, note, 2)], listed
        everyone = self.api.get_api_token_list(size=1000, **kind).items
        assert made.id in {row.id for row in everyone}
        shown = next(row for row in everyone if row.id == made.id).access_key
        assert shown != made.access_key, "a list shows the secret"
        patched = self.api.patch_api_token_by_admin_id(self.id, made.id, {"status": 1})
        assert (patched.status, patched.note) == (1, note)
        patched = self.api.patch_api_token_by_admin_id(self.id, made.id, {"note": "both", "status": 1})
        assert (patched.status, patched.note) == (1, "both")
        put = self.api.update_api_token_by_admin_id(self.id, made.id, {"note": "renamed"})
        assert (put.status, put.note) == (2, "renamed"), "PUT without a status enables"
        self.api.delete_api_token_by_id(self.id, made.id)
        assert self.api.get_api_token_list_by_admin_id(self.id, **kind).items == []

    def missing(self):
        try:
            self.api.get_api_token_list_by_admin_id(999999)
        except ApiException as error:
            assert error.status == 404 and "errorMessage" in str(error.body)
        else:
            raise AssertionError("an unknown owner has a list")

    def refused(self):
        class Wrong:
            access_id, access_key, bearer = self.sandbox.access_id, "wrong", "lmb_wrong"

        try:
            sdk(Wrong, self.scheme, self.sandbox.origin).get_admin_list()
        except ApiException as error:
            assert error.status == 401
        else:
            raise AssertionError("a wrong credential was accepted")

    def ask_the_same(self, entry):
        """Sends a read of tokenform's once more, by the SDK."""
        query = dict(parse_qsl(entry["query"]))
        if entry["path"].endswith("/setting/accesslogs"):
            return self.api.get_audit_log_list(**query)
        match entry["path"].removeprefix("/santaba/rest/setting/admins").strip("/").split("/"):
            case [""]:
                self.api.get_admin_list(**query)
            case ["apitokens"]:
                self.api.get_api_token_list(**query)
            case [_, "apitokens"]:
                self.api.get_api_token_list_by_admin_id(self.id, **query)
            case [_]:
                # The model refuses a user without its e-mail address, which narrowed answers lack.
                self.api.get_admin_by_id(self.id, return_raw_response=True, **query)
            case other:
                raise AssertionError(f"the SDK has no call for {other}")


class Mcp:
    """lm-mcp's client class, which signs what it sends with separators of its own."""

    def __init__(self, sandbox, scheme):
        self.scheme = scheme
        self.base = f"{sandbox.origin}/santaba/rest"
        self.auth = (
            LMv1Auth(sandbox.access_id, sandbox.access_key) if scheme == "LMv1" else BearerAuth(sandbox.bearer)
        )

    def run(self, report):
        title = f"lm-mcp, {self.scheme}: users, and create, list, get, patch, put, delete of a token"
        report.check(title, lambda: asyncio.run(self.life()))

    async def life(self):
        async with LogicMonitorClient(self.base, self.auth) as client:
            users = (await client.get("/setting/admins", params={"size": 50}))["items"]
            name = f"svc-mcp-{self.scheme.lower()}"
            path = f"/setting/admins/{next(user['id'] for user in users if user['username'] == name)}/apitokens"
            made = await client.post(path, json_body={"note": "mcp é", "status": 2})
            assert made["accessKey"]
            one = f"{path}/{made['id']}"
            listed = await client.get("/setting/admins/apitokens", params={"filter": f"id:{made['id']}"})
            assert [row["note"] for row in listed["items"]] == ["mcp é"]
            assert (await client.get(one))["status"] == 2
            assert (await client.patch(one, json_body={"status": 1}))["status"] == 1
            assert (await client.put(one, json_body={"note": "x"}))["status"] == 2
            await client.delete(one)
            assert (await client.get(path))["items"] == []
