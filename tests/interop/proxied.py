"""Unmodified scripts with the vendors' hosts in them, through `--as-proxy`."""

import os
import pathlib
import subprocess
import sys

import requests
from lm_clients import sdk
from sdcclient import IbmAuthHelper, SdMonitorClient

from harness import header

MONITOR = "https://us-south.monitoring.cloud.ibm.com"


class Proxied:
    def __init__(self, sandbox, guid):
        self.sandbox = sandbox
        self.guid = guid

    def run(self, report):
        with self.sandbox.as_proxy():
            report.check("proxy: sdcclient's IbmAuthHelper and SdMonitorClient, unmodified", self.sysdig)
            report.check("proxy: LogicMonitor's published example", self.example)
            report.check("proxy: logicmonitor_sdk with its company's own host", self.lm_sdk)
            report.check("proxy: a host of no vendor is refused", self.stranger)
            report.check("proxy: one vendor's path at another's host is a 404", self.mistaken)
        report.check("proxy: without the certificate, clients refuse it", self.untrusted)

    def sysdig(self):
        since = self.sandbox.now()
        headers = IbmAuthHelper.get_headers(MONITOR, self.sandbox.api_key, self.guid)
        client = SdMonitorClient(sdc_url=MONITOR, custom_headers=headers)
        ok, teams = client.get_teams()
        assert ok and len(teams) == 2, teams
        ok, key = client.get_user_token()
        assert ok and key, key
        hosts = {header(entry, "host") for entry in self.sandbox.tape(since)}
        assert hosts == {"iam.cloud.ibm.com", "us-south.monitoring.cloud.ibm.com"}, hosts

    def example(self):
        since = self.sandbox.now()
        script = pathlib.Path(__file__).with_name("published_example.py")
        variables = {**os.environ, "LM_ID": self.sandbox.access_id, "LM_KEY": self.sandbox.access_key}
        done = subprocess.run([sys.executable, script], env=variables, capture_output=True, text=True, timeout=60)
        assert done.stdout == "200 published-example\n", done.stdout + done.stderr
        (entry,) = self.sandbox.tape(since)
        assert (entry["effect"], entry["body"], entry["user"]) == ("create", "{}", 32), entry
        assert header(entry, "host") == "acme.logicmonitor.com"

    def lm_sdk(self):
        # It asks neither variable; these are its own options.
        api = sdk(self.sandbox, "LMv1")
        configuration = api.api_client.configuration
        configuration.proxy = self.sandbox.proxy["HTTPS_PROXY"]
        configuration.ssl_ca_cert = self.sandbox.proxy["SSL_CERT_FILE"]
        api.api_client.rest_client = type(api.api_client.rest_client)(configuration)
        assert api.get_admin_list(size=1).items

    def stranger(self):
        try:
            requests.get("https://example.com/", timeout=30)
        except requests.exceptions.ProxyError as error:
            assert "502" in str(error), error
        else:
            raise AssertionError("the proxy forwarded a request")

    def mistaken(self):
        reply = requests.get("https://iam.cloud.ibm.com/v2/resource_instances", timeout=30)
        assert reply.status_code == 404, reply.status_code

    def untrusted(self):
        try:
            requests.get("https://iam.cloud.ibm.com/", proxies={"https": self.sandbox.proxy["HTTPS_PROXY"]}, timeout=30)
        except requests.exceptions.SSLError:
            pass
        else:
            raise AssertionError("a certificate of nobody was trusted")
