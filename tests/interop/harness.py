"""Checks that print one line each, and the running sandbox as the checks see it."""

import contextlib
import os
import shlex
import traceback

import requests


class Report:
    """Counts checks. A check is a function that asserts."""

    def __init__(self):
        self.passed = 0
        self.failed = 0

    def check(self, title, function, *args):
        try:
            function(*args)
        except Exception as error:  # an SDK may raise anything
            self.failed += 1
            where = traceback.extract_tb(error.__traceback__)[-1]
            print(f"FAIL  {title}\n      {os.path.basename(where.filename)}:{where.lineno}: {type(error).__name__}: {error}")
        else:
            self.passed += 1
            print(f"ok    {title}")

    def end(self):
        print(f"{self.passed} passed, {self.failed} failed")
        return 1 if self.failed else 0


class Sandbox:
    """The `export` lines that `tokenform sandbox` printed, and its tape."""

    def __init__(self, exports):
        words = (shlex.split(line)[1] for line in exports.splitlines())
        values = dict(word.split("=", 1) for word in words)
        self.origin = values["TOKENFORM_SANDBOX_ORIGIN"]
        self.api_key = values["SANDBOX_IBM_PROD_API_KEY"]
        self.access_id = values["SANDBOX_LOGICMONITOR_ACME_ACCESS_ID"]
        self.access_key = values["SANDBOX_LOGICMONITOR_ACME_ACCESS_KEY"]
        self.bearer = values["SANDBOX_LOGICMONITOR_ACME_BEARER"]
        self.proxy = {name: values[name] for name in ("HTTPS_PROXY", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")}

    def tape(self, since=0):
        """The requests after the one numbered `since`."""
        entries = requests.get(f"{self.origin}/__sandbox/tape", timeout=30).json()
        return [entry for entry in entries if entry["seq"] > since]

    def now(self):
        """The number of the last request so far."""
        return max((entry["seq"] for entry in self.tape()), default=0)

    @contextlib.contextmanager
    def as_proxy(self):
        """The three variables that an unmodified script needs."""
        before = dict(os.environ)
        os.environ.update(self.proxy)
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)


def header(entry, name):
    """A header of a request on the tape, or None."""
    return next((value for key, value in entry["headers"] if key == name), None)
