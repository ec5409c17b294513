"""Sends a report, corrects it, handles errors, reads a total and follows changes. Python 3.9, standard library only.

TONGHOP_URL is the address of the service, TONGHOP_KEY a submitter key of a unit that reports, such as a district.
"""

import http.client
import json
import os
import random
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid

FORM, PERIOD, INDICATOR = "ngay-30-7", "2021-07", "TT.PT"
ATTEMPTS, TIMEOUT_S, LONGEST_WAIT_S = 5, 30, 60


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers = status, headers
        try:
            self.json = json.loads(body or "{}")
        except ValueError:
            self.json = {"detail": "the body is not JSON"}  # a proxy that answers itself
            self.status = status if status >= 400 else 502

    def retry_after(self):
        seconds = self.headers["Retry-After"] or "0"
        return int(seconds) if seconds.isdigit() else 0


class NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None  # the API never redirects, and the key must not go elsewhere


OPENER = urllib.request.build_opener(NoRedirects)


def fail(message):
    sys.exit(f"error: {message}")


def attempt_once(request):
    try:
        return OPENER.open(request, timeout=TIMEOUT_S)
    except urllib.error.HTTPError as error:
        return error  # an answer, too


def call(method, path, body=None, headers=None, accept=(200,)):
    """Sends a request and retries it if it may succeed later. Returns an answer with one of the accepted statuses."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"Authorization": f"Bearer {KEY}", "Accept": "application/json", **(headers or {})}
    if data is not None:
        headers["Content-Type"] = "application/json"
    for attempt in range(1, ATTEMPTS + 1):
        try:
            request = urllib.request.Request(URL + path, data, headers, method=method)
            with attempt_once(request) as response:
                answer = Answer(response.status, response.headers, response.read())
        except (OSError, http.client.HTTPException) as error:  # no connection, a timeout, or the connection was lost
            answer, reason = None, str(error)
        if answer is not None:
            if answer.status in accept:
                return answer
            reason = f"{answer.status} {answer.json.get('code', '')}: {answer.json.get('detail')}"
            if answer.status not in (408, 429, 502, 503, 504):
                fail(f"{method} {path}: {reason} (request {answer.headers['X-Request-Id']})")
        if attempt < ATTEMPTS:
            wanted = answer.retry_after() if answer is not None else 0
            wait = min(max(wanted, 2 ** (attempt - 1)), LONGEST_WAIT_S) + random.random()
            print(f"  attempt {attempt} failed ({reason}); waiting {wait:.1f} s")
            time.sleep(wait)
    fail(f"{method} {path}: gave up after {ATTEMPTS} attempts: {reason}")


def send(value, headers=None, accept=(200, 201), note=None, more=()):
    """Sends the whole report. Every attempt of one request has the same Idempotency-Key."""
    report = {"form": FORM, "period": PERIOD, "unit": UNIT, "figures": [{"indicator": INDICATOR, "value": value}, *more]}
    if note:
        report["note"] = note
    headers = {"Idempotency-Key": str(uuid.uuid4()), **(headers or {})}
    return call("POST", "/v1/submissions", report, headers, accept)


def correct(value, tag):
    """Corrects the revision with this ETag. If another revision is current, reads it and decides again."""
    for _ in range(3):
        answer = send(value, {"If-Match": tag, "Prefer": "wait=5"}, (200, 201, 412), "corrected by the example")
        if answer.status != 412:
            print(f"corrected: revision {answer.json['revision']}, {INDICATOR} = {value}")
            return answer
        current = call("GET", SELF)
        tag = current.headers["ETag"]
        print(f"conflict: revision {current.json['revision']} is current; sending the correction for it")
    fail("the report was corrected by others three times")


def settled_total(path):
    """Reads a total until it contains every report."""
    for _ in range(20):
        answer = call("GET", path)
        if answer.json["freshness"]["pending"] == 0:
            return answer
        time.sleep(0.5)
    fail("the total is not up to date after 10 s")


try:
    URL, KEY = os.environ["TONGHOP_URL"].rstrip("/"), os.environ["TONGHOP_KEY"]
except KeyError as missing:
    fail(f"set {missing.args[0]}")

UNIT = call("GET", "/v1/me").json["key"]["unit"]
print(f"unit {UNIT}")
after = call("GET", "/v1/changes?after=latest").json["next_after"]

first = send(100)
SELF = first.json["links"]["self"]
print(f"{'recorded' if first.status == 201 else 'unchanged'}: revision {first.json['revision']}, {INDICATOR} = 100")

corrected = correct(101, first.headers["ETag"])
last = correct(102, first.headers["ETag"])  # the ETag is out of date by now

rejected = send(-1, accept=(422,), more=[{"indicator": "NO.SUCH", "value": 1}])
for error in rejected.json.get("errors", []):
    print(f"rejected: {error['pointer']}: {error['detail']}")

query = urllib.parse.urlencode({"form": FORM, "period": PERIOD, "unit": UNIT, "indicator": INDICATOR})
total = settled_total(f"/v1/totals?{query}")
print(f"total: {INDICATOR} = {total.json['totals'][0]['value']}, as of {total.json['freshness']['as_of']}")
again = call("GET", f"/v1/totals?{query}", headers={"If-None-Match": total.headers["ETag"]}, accept=(200, 304))
print(f"total: {again.status}, {'not modified' if again.status == 304 else 'changed meanwhile'}")

for _ in range(20):
    page = call("GET", f"/v1/changes?after={after}").json
    after = page["next_after"]  # keep it: the next run of a real program goes on from here
    for change in page["changes"]:
        print(f"change: {change['kind']} of {change['unit']}, revision {change.get('revision')}")
    if any(change.get("revision") == last.json["revision"] for change in page["changes"]):
        break
    if not page["more"]:
        time.sleep(0.5)
else:
    fail("the change did not appear within 10 s")
print("done")
