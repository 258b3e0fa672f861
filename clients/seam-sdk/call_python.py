"""Makes calls with Seam's Python SDK, one for each line of standard input, and tells on standard output what a
program sees of each. It knows nothing of scenarios and targets: run.py decides what is called and where.
"""

import dataclasses
import json
import re
import sys

import httpx
import seam

ERROR_CLASSES = (
    seam.SeamHttpApiError,
    seam.SeamHttpInvalidInputError,
    seam.SeamHttpInvalidResponseError,
    seam.SeamHttpUnauthorizedError,
)

# The headers of a response that a program may read, while the SDK acts on none of them.
COMPARED = re.compile("(x-)?ratelimit|deprecation$|sunset$|link$|set-cookie$")

# The SDK has no option for the credentials that browsers hold, so a program that has one sets the headers itself. The
# constructor still wants a key.
NO_API_KEY = "seam_none"

# Clients are kept, as programs keep them, so that later calls go over connections that earlier ones opened.
clients = {}

# The responses to the current call.
responses = []


def client_for(call):
    key = json.dumps([call["endpoint"], call["credential"], call.get("retries")])
    if key not in clients:
        clients[key] = new_client(call["endpoint"], call["credential"], call.get("retries"))
    return clients[key]


def new_client(endpoint, credential, retries):
    kind, token = credential["kind"], credential["token"]
    options = {"endpoint": endpoint, "httpx_options": {"event_hooks": {"response": [keep_response]}}}
    if retries is not None:
        options["retries"] = seam.Retry(total=retries)
    if kind == "api_key":
        client = seam.Seam.from_api_key(token, **options)
    elif kind == "personal_access_token":
        client = seam.Seam.from_personal_access_token(token, credential["workspace_id"], **options)
    else:
        client = seam.Seam(NO_API_KEY, **options)
        del client.client.headers["authorization"]
        client.client.headers.update(credential_headers(kind, token, credential))
    client.client.headers.update(credential.get("headers", {}))
    return client


def credential_headers(kind, token, credential):
    if kind == "console_session_token":
        return {"authorization": f"Bearer {token}", "seam-workspace": credential["workspace_id"]}
    if kind == "client_session_token":
        return {"authorization": f"Bearer {token}", "client-session-token": token}
    if kind == "publishable_key":
        return {"seam-publishable-key": token}
    raise ValueError(f"unknown kind of credential {kind}")


def keep_response(response):
    response.read()
    responses.append(response)


def decode(value):
    """Turns JSON into parameters: the SDK has its own null, and its None is an absent parameter."""
    if value is None:
        return seam.NULL
    if isinstance(value, list):
        return [decode(item) for item in value]
    if isinstance(value, dict):
        if "$undefined" in value:
            return None
        return {name: decode(member) for name, member in value.items()}
    return value


def make(call):
    params = decode(call.get("params", {}))
    client = client_for(call)
    if call["call"] == "request":
        # The way to send what the SDK's methods do not: older SDKs POST everything.
        sent = {name: params[name] for name in ("json",) if name in params}
        return client.client.request(params["method"], params["path"], params=params.get("query"), **sent)
    return getattr(client.client_sessions, call["call"])(**params)


def seen_value(value):
    if isinstance(value, list):
        return [seen_value(item) for item in value]
    if dataclasses.is_dataclass(value):
        return {"class": type(value).__name__, **dataclasses.asdict(value)}
    return value


def seen_error(error, endpoint):
    seen = {
        "class": type(error).__name__,
        "is": [known.__name__ for known in ERROR_CLASSES if isinstance(error, known)],
        "message": str(error).replace(endpoint, "(endpoint)"),
    }
    if isinstance(error, httpx.HTTPStatusError):
        seen["status"] = error.response.status_code
    if isinstance(error, seam.SeamHttpApiError):
        seen["status"] = error.status_code
        seen["code"] = error.code
        seen["data"] = error.data
        seen["request_id"] = error.request_id
    if isinstance(error, seam.SeamHttpInvalidInputError):
        seen["validation_errors"] = [dataclasses.asdict(problem) for problem in error.validation_errors]
    return seen


def seen_response(response):
    headers = response.headers
    return {
        "status": response.status_code,
        "content_type": headers.get("content-type"),
        "retry_after": headers.get("retry-after"),
        "request_id": headers.get("seam-request-id"),
        "headers": {name: value for name, value in headers.items() if COMPARED.match(name)},
        "text": response.content.decode(errors="replace"),
    }


def see(call):
    responses.clear()
    try:
        seen = {"value": seen_value(make(call))}
    except Exception as error:  # Every exception of the SDK is a result here.
        seen = {"error": seen_error(error, call["endpoint"])}
    if responses:
        seen["response"] = seen_response(responses[-1])
    return seen


for line in sys.stdin:
    print(json.dumps(see(json.loads(line))), flush=True)
