"""What is the same and what differs between two records of one thing, and the name of an outcome."""

# A request has another id each time, so what is compared is whether there is one.
SOME_ID = "(some id)"


def without_ids(value):
    """The value with each request id in it reduced to its presence."""
    if isinstance(value, list):
        return [without_ids(item) for item in value]
    if isinstance(value, dict):
        return {
            name: SOME_ID if name == "request_id" and isinstance(member, str) and member else without_ids(member)
            for name, member in value.items()
        }
    return value


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
    """The name of what came of a call, as scenarios.json expects it: `ok`; the status and Seam's type of an error; the
    status alone of an error that is not Seam's; the SDK's class of an error about a good answer, or about none."""
    if "error" not in seen:
        return "ok"
    answer = seen.get("answer")
    if answer is None or answer["status"] < 400:
        return seen["error"]["class"]
    return error_name(answer["status"], answer.get("body"))


def error_name(status, body):
    try:
        return f"{status} {body['error']['type']}"
    except (KeyError, TypeError):
        return str(status)


def http_outcome(answer):
    status = answer["status"]
    return str(status) if status < 400 else error_name(status, answer["body"])


def known_difference(case, face):
    """What is wrong with the face's outcome of a case that is known to differ: it has to differ in just the way that the
    case says, and the case has to say why."""
    if not case.get("because"):
        return ["a known difference needs a reason"]
    return [] if face == case["face"] else [f"known to be {case['face']} at the face, it was {face}"]
