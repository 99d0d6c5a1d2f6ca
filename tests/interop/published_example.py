#!/usr/bin/env python3
"""What LogicMonitor's published Python example does: one token for user 32, by a signed POST of `{}`.

Like that example it names the company's own host; unlike it, the API version is the text '3', since
today's `requests` refuses a number.
"""

import base64
import hashlib
import hmac
import os
import time

import requests

COMPANY = "acme"
PATH = "/setting/admins/32/apitokens"
BODY = "{}"

epoch = str(int(time.time() * 1000))
message = ("POST" + epoch + BODY + PATH).encode()
digest = hmac.new(os.environ["LM_KEY"].encode(), message, hashlib.sha256).hexdigest()
signature = base64.b64encode(digest.encode()).decode()
reply = requests.post(
    f"https://{COMPANY}.logicmonitor.com/santaba/rest{PATH}",
    data=BODY,
    headers={
        "Content-Type": "application/json",
        "Authorization": f"LMv1 {os.environ['LM_ID']}:{signature}:{epoch}",
        "X-Version": "3",
    },
    timeout=30,
)
print(reply.status_code, reply.json()["adminName"])
