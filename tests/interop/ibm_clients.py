"""IBM's SDKs and sdcclient, against the sandbox's own port."""

from ibm_cloud_sdk_core import ApiException
from ibm_cloud_sdk_core.authenticators import IAMAuthenticator
from ibm_platform_services import ResourceControllerV2
from ibm_platform_services.resource_controller_v2 import ResourceInstancesPager
from sdcclient import SdMonitorClient

REFUSAL = "Access is denied: Not enough privileges to complete the action"
TEAMS = {"Monitor Operations": 10001, "SRE": 10002}


class Ibm:
    """The account as these clients see it."""

    def __init__(self, sandbox):
        self.origin = sandbox.origin
        self.authenticator = IAMAuthenticator(sandbox.api_key, url=sandbox.origin)
        self.controller = ResourceControllerV2(authenticator=self.authenticator)
        self.controller.set_service_url(sandbox.origin)
        self.keys = {}

    def run(self, report):
        report.check("ibm-cloud-sdk-core: an IAM token", self.token)
        report.check("ibm-cloud-sdk-core: a wrong API key is told as BXNIM0415E", self.wrong_key)
        report.check("ibm-platform-services: the pager brings every instance once", self.pages)
        report.check("ibm-platform-services: an instance by name, GUID and CRN", self.one)
        report.check("sdcclient: who am I", self.who)
        report.check("sdcclient: teams, of all products and of one", self.teams)
        report.check("sdcclient: a team by name, and a member's token in it", self.member)
        report.check("sdcclient: another key under each team", self.tokens)
        report.check("sdcclient: an API token works while ANY", self.api_token)
        report.check("ibm-platform-services: patch to IAM_ONLY", self.lock)
        report.check("sdcclient: the refusals under IAM_ONLY", self.refused)

    def token(self):
        assert self.authenticator.token_manager.get_token().count(".") == 2

    def wrong_key(self):
        wrong = IAMAuthenticator("no-such-key", url=self.origin)
        try:
            wrong.token_manager.get_token()
        except ApiException as error:
            assert error.status_code == 400 and "BXNIM0415E" in error.http_response.text
        else:
            raise AssertionError("a wrong key was accepted")

    def pages(self):
        # As tokenform asks, and in small pages.
        for query in ({"type": "service_instance", "limit": 100}, {"limit": 30}):
            rows = ResourceInstancesPager(client=self.controller, **query).get_all()
            assert len(rows) == len({row["guid"] for row in rows}) == 104, len(rows)

    def one(self):
        # As tokenform asks for a single one.
        rows = self.controller.list_resource_instances(name="mon-sdk", type="service_instance", limit=100).get_result()
        (row,) = rows["resources"]
        for id in (row["guid"], row["crn"]):
            found = self.controller.get_resource_instance(id=id).get_result()
            assert found["guid"] == row["guid"] and found["parameters"]["external_api_auth"] == "ANY"
        self.guid = row["guid"]

    def monitor(self, team=None):
        """sdcclient with an IAM token, as `IbmAuthHelper` sets it up."""
        token = self.authenticator.token_manager.get_token()
        headers = {"Authorization": f"Bearer {token}", "IBMInstanceID": self.guid}
        if team:
            headers["TeamID"] = str(team)
        return SdMonitorClient(sdc_url=self.origin, custom_headers=headers)

    def who(self):
        ok, me = self.monitor().get_user_info()
        assert ok and me["user"]["username"] == "ops@example.com", me

    def teams(self):
        for product in ("", "SDC"):
            ok, teams = self.monitor().get_teams(product_filter=product)
            assert ok and {team["name"]: team["id"] for team in teams} == TEAMS, teams
        assert self.monitor().get_teams(product_filter="SDS") == [True, []]

    def member(self):
        ok, team = self.monitor().get_team("Monitor Operations")
        assert ok and {role["userName"] for role in team["userRoles"]} == {"ops@example.com", "alice"}, team
        ok, key = self.monitor().get_user_api_token("alice", "Monitor Operations")
        assert ok and key

    def tokens(self):
        for team in TEAMS.values():
            ok, self.keys[team] = self.monitor(team).get_user_token()
            assert ok, self.keys[team]
        assert len(set(self.keys.values())) == 2

    def api_token(self):
        plain = SdMonitorClient(token=self.keys[10002], sdc_url=self.origin)
        ok, me = plain.get_user_info()
        assert ok and me["user"]["currentTeam"] == 10002, me

    def lock(self):
        found = self.controller.get_resource_instance(id=self.guid).get_result()
        wanted = {**found["parameters"], "external_api_auth": "IAM_ONLY"}
        self.controller.update_resource_instance(id=self.guid, parameters=wanted)
        found = self.controller.get_resource_instance(id=self.guid).get_result()
        assert found["parameters"] == {"default_receiver": False, "external_api_auth": "IAM_ONLY"}

    def refused(self):
        assert self.monitor(10002).get_user_token() == [False, REFUSAL]
        plain = SdMonitorClient(token=self.keys[10002], sdc_url=self.origin)
        assert plain.get_user_info() == (False, REFUSAL)
        ok, _ = self.monitor().get_teams()
        assert ok, "IAM tokens still work"
