"""What is the same and what differs between two records of one thing, and the name of an outcome."""

import copy
import json
import re

# A request has another id each time, a UUID. What is compared of one is whether it is there. An id that a scenario
# scripts is no UUID and is compared as it is.
SOME_ID = "(some id)"
UUID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"


def without_ids(value):
    """The value with each request id in it reduced to its presence."""
    if isinstance(value, list):
        return [without_ids(item) for item in value]
    if isinstance(value, dict):
        return {name: without_id(name, member) for name, member in value.items()}
    return value


def without_id(name, member):
    if isinstance(member, str) and name == "request_id":
        return re.sub(f"^{UUID}$", SOME_ID, member)
    if isinstance(member, str) and name == "text":
        return re.sub(f'("request_id": ?"){UUID}"', rf'\g<1>{SOME_ID}"', member)
    return without_ids(member)


def differences(sandbox, face, path=""):
    """A line for each place where the two differ. Missing is not null, 1 is neither 1.0 nor true."""
    if isinstance(sandbox, dict) and isinstance(face, dict):
        found = []
        for name in sorted(sandbox.keys() | face.keys()):
            where = f"{path}.{name}" if path else name
            if name not in face:
                found.append(f"{where}: sandbox {shown(sandbox[name])}, face has none")
            elif name not in sandbox:
                found.append(f"{where}: sandbox has none, face {shown(face[name])}")
            else:
                found += differences(sandbox[name], face[name], where)
        return found
    if isinstance(sandbox, list) and isinstance(face, list) and len(sandbox) == len(face):
        return [
            line for i, pair in enumerate(zip(sandbox, face))
            for line in differences(*pair, f"{path}[{i}]")
        ]
    if type(sandbox) is type(face) and sandbox == face:
        return []
    return [f"{path}: sandbox {shown(sandbox)}, face {shown(face)}"]


def shown(value):
    text = repr(value)
    return text if len(text) <= 400 else text[:400] + "..."


def outcome(seen):
    """The name of what came of a call, as the files expect it: `ok`; the status and Seam's type of an error; the status
    alone of an error that is not Seam's; the SDK's class of an error about a success, or without a response."""
    if "error" not in seen:
        return "ok"
    response = seen.get("response")
    if response is None or response["status"] < 400:
        return seen["error"]["class"]
    return error_name(response)


def http_outcome(response):
    return str(response["status"]) if response["status"] < 400 else error_name(response)


def error_name(response):
    """The status of an error, and its type if it is as short as Seam's are."""
    try:
        return f"{response['status']} {json.loads(response['text'])['error']['type']:.100}"
    except (KeyError, TypeError, ValueError):
        return str(response["status"])


def known_difference(case, known, sandbox, face, name):
    """What is wrong with a difference that is known: the case has to say why it is there, and it has to be just what
    the case says. That is the outcome at the face, or each member that differs."""
    if not case.get("because"):
        return ["a known difference needs a reason"]
    if not differences(sandbox, face):
        return ["known to differ, and does not"]
    if isinstance(known, str):
        return [] if name == known else [f"known to be {known} at the face, it was {name}"]
    expected = copy.deepcopy(sandbox)
    for path, member in known.items():
        *parents, last = path.split(".")
        place = expected
        for parent in parents:
            place = place[parent]
        place[last] = member
    return differences(expected, face)
