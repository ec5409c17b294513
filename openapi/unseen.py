"""Compares two OpenAPI documents, and prints what breaks clients and oasdiff does not see: unseen.py OLD NEW

These are some bounds and enums of requests, all bounds of values that are only in responses, the types of header fields, servers and
security schemes.
"""

import json
import os
import pathlib
import sys
import traceback



def crash(*error):
    """An exit code that is not that of a finding."""
    traceback.print_exception(*error)
    sys.stderr.flush()
    os._exit(3)


sys.excepthook = crash
# Bounds, with 1 if a higher value is wider.
NUMBERS = {"maxItems": 1, "maxLength": 1, "maxProperties": 1, "maximum": 1, "exclusiveMaximum": 1,
           "minItems": -1, "minLength": -1, "minProperties": -1, "minimum": -1, "exclusiveMinimum": -1}
# A change of these may be narrower, wider or both.
OTHERS = ["const", "contains", "dependentRequired", "dependentSchemas", "else", "if", "multipleOf", "not", "pattern",
          "patternProperties", "prefixItems", "then"]
TEXTS = ["description", "example", "examples", "title"]
old, new = (json.loads(pathlib.Path(file).read_text()) for file in sys.argv[1:3])
found = {}
seen = set()
requested = set()


def report(place, change):
    found.setdefault(f"{place}: {change}")


def resolve(document, node):
    while "$ref" in node:
        target = document
        for key in node["$ref"].removeprefix("#/").split("/"):
            target = target[key.replace("~1", "/").replace("~0", "~")]
        node = target
    return node


def bounds(before, after):
    """The bounds that differ, each with whether it is narrower and whether it is wider."""
    for key in NUMBERS.keys() | OTHERS | {"uniqueItems", "additionalProperties"}:
        one, other = before.get(key), after.get(key)
        if key == "uniqueItems":
            one, other = one or None, other or None
        if key == "additionalProperties":
            # Schemas are compared elsewhere.
            one, other = (None if each is True or isinstance(each, dict) else each for each in (one, other))
        if one == other:
            continue
        if one is None or other is None:
            yield key, one is None, other is None
        elif key in NUMBERS:
            wider = (other - one) * NUMBERS[key] > 0
            yield key, not wider, wider
        else:
            yield key, True, True


def compare(before, after, place, request):
    before, after = resolve(old, before), resolve(new, after)
    pair = id(before), id(after), request
    if pair in seen or before == after == {}:
        return
    seen.add(pair)
    if request:
        requested.add(id(after))
    for key, narrower, wider in bounds(before, after):
        if request and narrower:
            report(place, f"{key} is narrower")
        if not request and wider and id(after) not in requested:
            report(place, f"{key} is wider")
    # oasdiff does not see those of the items of parameters.
    if request and "enum" in after and ("enum" not in before or set(before["enum"]) - set(after["enum"])):
        report(place, "enum is narrower")
    for name in before.get("properties", {}).keys() & after.get("properties", {}).keys():
        compare(before["properties"][name], after["properties"][name], f"{place}/{name}", request)
    for key in ("items", "additionalProperties", "propertyNames"):
        if isinstance(before.get(key), dict) and isinstance(after.get(key), dict):
            compare(before[key], after[key], f"{place}/{key}", request)
        elif isinstance(after.get(key), dict) and request or isinstance(before.get(key), dict) and not request:
            report(place, f"{key} was {'added' if request else 'removed'}")
    for key in ("allOf", "anyOf", "oneOf"):
        for index, (one, other) in enumerate(zip(before.get(key, []), after.get(key, []))):
            compare(one, other, f"{place}/{key}/{index}", request)


def compare_contents(before, after, place, request):
    for media in before.get("content", {}).keys() & after.get("content", {}).keys():
        compare(before["content"][media].get("schema", {}), after["content"][media].get("schema", {}), place, request)


def parameters(document, operation):
    return {(each["in"], each["name"]): each
            for each in (resolve(document, each) for each in operation.get("parameters", []))}


def without_texts(node, without=()):
    return {key: value for key, value in node.items() if key not in TEXTS and key not in without}


operations = [(f"{method} {path}", operation, new["paths"][path][method])
              for path, item in old["paths"].items() for method, operation in item.items()
              if method in new["paths"].get(path, {})]
# Requests first: what is in them may become wider.
for place, before, after in operations:
    ours, theirs = parameters(old, before), parameters(new, after)
    for name in ours.keys() & theirs.keys():
        compare(ours[name].get("schema", {}), theirs[name].get("schema", {}), f"{place} {name[1]}", True)
        for key in ("style", "explode", "allowReserved"):
            if ours[name].get(key) != theirs[name].get(key):
                report(f"{place} {name[1]}", f"{key} differs")
    compare_contents(resolve(old, before.get("requestBody", {})), resolve(new, after.get("requestBody", {})),
                     f"{place} request", True)
for place, before, after in operations:
    for status in before["responses"].keys() & after["responses"].keys():
        one, other = resolve(old, before["responses"][status]), resolve(new, after["responses"][status])
        compare_contents(one, other, f"{place} {status}", False)
        for name in one.get("headers", {}).keys() & other.get("headers", {}).keys():
            schemas = [resolve(document, resolve(document, each["headers"][name]).get("schema", {}))
                       for document, each in ((old, one), (new, other))]
            if without_texts(schemas[0], ["enum"]) != without_texts(schemas[1], ["enum"]):
                report(f"{place} {status} {name}", "its type or format differs")
    effective = [operation.get("security", document.get("security", []))
                 for document, operation in ((old, before), (new, after))]
    # Alternatives: one that was enough must still be.
    if effective[1] and {} not in effective[1] and not all(each in effective[1] for each in effective[0] or [None]):
        report(place, "it needs another key")
for name, scheme in old["components"].get("securitySchemes", {}).items():
    if without_texts(scheme, ["bearerFormat"]) != without_texts(new["components"].get("securitySchemes", {}).get(name, {}),
                                                ["bearerFormat"]):
        report(f"security scheme {name}", "it differs")
for server in old.get("servers", []):
    if server["url"] not in [each["url"] for each in new.get("servers", [])]:
        report("servers", f"{server['url']} was removed")
for line in found:
    print(line)
sys.exit(bool(found))
