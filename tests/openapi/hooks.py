"""What the OpenAPI document cannot express.

Bodies with one JSON value per line, entries with chosen fields only, and rejections of well-formed requests: unknown codes,
sums that do not match, revisions that have changed.
"""

import json
import os
import re

import jsonschema_rs
import schemathesis

NDJSON = "application/x-ndjson"
BATCHES = {"/v1/submissions/batch", "/v1/submissions/batch.ndjson"}

# Errors of fields that depend on the catalogue, on other fields, or on the time.
BEYOND_THE_DOCUMENT = {
    "above-maximum",
    "below-minimum",
    "breakdown-not-allowed",
    "breakdown-not-numeric",
    "breakdown-sum",
    "check-failed",
    "computed-indicator",
    "expiry-in-past",
    "period-not-expected",
    "repeated-cell",
    "repeated-indicator",
    "unit-does-not-report",
    "unknown-category",
    "unknown-form",
    "unknown-indicator",
    "unknown-unit",
    "wrong-value-type",
}


# The figures are generated from schemas of their own, below: that exactly one content is sent, and no unknown field, is not
# in the schema of a figure, because generators of clients cannot use it there.

# What the built-in catalogue has, and how it is reported.
FORM, PERIODS = "ngay-30-7", ["2021-07", "2022-07"]
UNITS = [*map(str, range(866, 878)), "87-SLDTBXH", "87-TTBTXH"]
KINDS = {
    "TT.PT": {"value": {"type": "integer", "minimum": 0, "maximum": 10**12}},
    "TT.HOTLINE": {"value": {"type": "boolean"}},
    "TT.KHAUHIEU": "items",
    "DG.KQ": "text",
}


@schemathesis.hook
def before_load_schema(context, raw_schema):
    """Names what there is, so that submissions are stored and not only refused, and a batch's lines."""
    schemas = raw_schema["components"]["schemas"]
    submission, figure = schemas["NewSubmission"]["properties"], schemas["Figure"]["properties"]
    submission["form"]["enum"] = [FORM]
    submission["period"]["enum"] = PERIODS
    submission["unit"]["enum"] = UNITS
    kinds = []
    for code, said in KINDS.items():
        said = {said: figure[said]} if isinstance(said, str) else said
        for content in (said, {"state": figure["state"]}):
            fields = {"indicator": {"const": code}, **content}
            kinds.append({"type": "object", "properties": fields, "required": [*fields], "additionalProperties": False})
    # Few figures, since most reports of many name an indicator twice.
    submission["figures"] |= {"items": {"oneOf": kinds}, "maxItems": 2}
    batch = raw_schema["paths"]["/v1/submissions/batch.ndjson"]["post"]
    line = {"$ref": "#/components/schemas/NewSubmission"}
    batch["requestBody"]["content"][NDJSON] = {"schema": {"type": "array", "items": line}}


@schemathesis.hook
def before_call(context, case, kwargs):
    """Keeps valid requests valid, and administrators from revoking their own keys, which would end the run."""
    if is_valid(case):
        # With these, entries lack what their schema requires.
        (case.query or {}).pop("fields", None)
        # schemathesis takes values of its own for these two, and sends both, which contradict each other.
        for name in conditions(case):
            if not fits_its_pattern(case, name) or len(conditions(case)) == 2:
                del case.headers[name]
    if case.operation.path == "/v1/keys/{id}" and case.path_parameters.get("id") == os.environ["OWN_KEY_ID"]:
        case.path_parameters["id"] = "00000000"


@schemathesis.serializer(NDJSON)
def lines(context, value):
    """One JSON value a line."""
    values = value if isinstance(value, list) else [value]
    return "".join(json.dumps(line) + "\n" for line in values).encode()


@schemathesis.hook
def filter_failure(context, failure, case, response):
    """Drops the failures that are none."""
    if (case.path_parameters or {}).get("id") in {"batch", "batch.ndjson"}:
        # That is the path of another operation.
        return False
    if "positive_data_acceptance" in failure.checks:
        return not is_beyond_the_document(case, response.json())
    if "use_after_free" in failure.checks:
        # Nothing is deleted: what was withdrawn or revoked stays, and says so; earlier revisions stay as they were.
        is_of_history = case.operation.path == "/v1/submissions/{id}/revisions/{revision}"
        is_unchanged = response.status_code == 304
        return not (is_of_history or is_unchanged or any(f'"{ended}"' in response.text for ended in ("withdrawn", "revoked")))
    if "negative_data_rejection" in failure.checks and response.status_code == 200:
        # A batch is answered line by line; what is wrong with a line is said there.
        return not (case.operation.path in BATCHES and a_line_is_refused(response))
    return True


def is_beyond_the_document(case, problem):
    """Whether a well-formed request was refused for a reason that no schema expresses."""
    codes = {fault["code"] for fault in problem.get("errors", [])}
    if problem["code"] == "invalid-parameter":
        # A cursor is opaque, and belongs to one list; `after` is that of the change feed.
        return {fault["parameter"] for fault in problem["errors"]} in ({"cursor"}, {"after"})
    if problem["code"] == "revision-conflict":
        return bool(conditions(case))
    if problem["code"] in {"invalid-submission", "invalid-key-request"}:
        return bool(codes) and codes <= BEYOND_THE_DOCUMENT
    if problem["code"] == "idempotency-key-reused":
        return any(name.lower() == "idempotency-key" for name in case.headers or {})
    return problem["code"] == "forbidden"


def is_valid(case):
    """Whether a request is meant to be as described."""
    return case.meta is not None and case.meta.generation.mode.is_positive


def conditions(case):
    return [name for name in case.headers or {} if name.lower() in {"if-match", "if-none-match"}]


def fits_its_pattern(case, name):
    described = next(parameter for parameter in case.operation.headers if parameter.name.lower() == name.lower())
    return re.search(described.definition["schema"]["pattern"], case.headers[name]) is not None


def results_of(response):
    """The results of a batch, in either format."""
    if response.headers["content-type"][0].startswith("application/json"):
        return json.loads(response.content)["results"]
    return [json.loads(line) for line in response.content.splitlines()]


def a_line_is_refused(response):
    return any(400 <= result["status"] < 500 for result in results_of(response))


@schemathesis.check
def each_line_is_a_result(ctx, response, case):
    """A batch is answered with one result, as described, for every submission of the request."""
    if case.operation.path not in BATCHES or response.status_code != 200:
        return
    schema = {"$ref": "#/components/schemas/BatchResult", **case.operation.schema.raw_schema}
    validator = jsonschema_rs.validator_for(schema)
    results = results_of(response)
    for number, result in enumerate(results, start=1):
        validator.validate(result)
        assert result["line"] == number
        if is_valid(case) and result["status"] >= 400:
            assert is_beyond_the_document(case, result["problem"]), result
    sent = case.body["submissions"] if isinstance(case.body, dict) and is_valid(case) else case.body
    if isinstance(sent, list):
        assert len(results) == len(sent)
