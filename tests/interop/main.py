"""Drives the sandbox whose `export` lines are in the file that is given; see `run`."""

import pathlib
import sys
import tempfile

import compare
from harness import Report, Sandbox, header
from ibm_clients import Ibm
from lm_clients import SCHEMES, Mcp, Sdk
from proxied import Proxied
from tokenform_runs import Run


def main():
    sandbox = Sandbox(pathlib.Path(sys.argv[1]).read_text())
    report = Report()
    with tempfile.TemporaryDirectory() as folder:
        direct = Run(sandbox, folder, "direct", sandbox.origin)
        report.check("tokenform, live at the sandbox's port: apply makes every call", direct.apply)
        report.check("tokenform, live at the sandbox's port: the next plan is empty", direct.converged)
        theirs = vendors(sandbox, report, direct.tape)
        report.check("comparison: all that tokenform sends, a vendor's client sends", nothing, compare.differences, direct.tape, theirs)
        report.check("comparison: every damage is noticed", nothing, compare.blind_spots, direct.tape, theirs)
        for scheme in SCHEMES:
            Mcp(sandbox, scheme).run(report)
        Proxied(sandbox, script_instance(sandbox)).run(report)
        proxied = Run(sandbox, folder, "proxied")
        with sandbox.as_proxy():
            report.check("tokenform, live through the proxy: apply makes every call", proxied.apply)
            report.check("tokenform, live through the proxy: the next plan is empty", proxied.converged)
        report.check("tokenform, live through the proxy: at the vendors' hosts, the same requests", same_at_hosts, direct, proxied)
    return report.end()


def vendors(sandbox, report, ours):
    """Drives the vendors' clients, and gives back what they sent."""
    since = sandbox.now()
    Ibm(sandbox).run(report)
    for scheme in SCHEMES:
        sdk = Sdk(sandbox, scheme)
        sdk.run(report)
        reads = [entry for entry in ours if entry["method"] == "GET" and compare.call(entry).startswith(f"{scheme} GET")]
        report.check(f"logicmonitor_sdk, {scheme}: asks what tokenform asked", ask_all, sdk, reads)
    return sandbox.tape(since)


def ask_all(sdk, reads):
    assert reads
    for path, query in sorted({(entry["path"], entry["query"]) for entry in reads}):
        sdk.ask_the_same({"path": path, "query": query})


def nothing(judge, ours, theirs):
    found = judge(ours, theirs)
    assert not found, "\n        ".join(["", *found])


def script_instance(sandbox):
    """The GUID of the instance for scripts: people have it from their console."""
    import requests

    world = requests.get(f"{sandbox.origin}/__sandbox/world", timeout=30).json()
    return world["ibm"]["prod"]["instances"]["mon-script"]["guid"]


def same_at_hosts(direct, proxied):
    hosts = {header(entry, "host") for entry in proxied.tape}
    assert hosts == {
        "iam.cloud.ibm.com",
        "resource-controller.cloud.ibm.com",
        "us-south.monitoring.cloud.ibm.com",
        "acme.logicmonitor.com",
    }, hosts
    at_hosts, at_port = compare.by_call(proxied.tape), compare.by_call(direct.tape)
    other = [name for name in at_hosts.keys() | at_port.keys() if at_hosts.get(name) != at_port.get(name)]
    assert not other, [(name, at_hosts.get(name), at_port.get(name)) for name in other]


if __name__ == "__main__":
    sys.exit(main())
