"""Plain HTTP requests, for what no SDK sends or shows: raw_requests.json has them, and this compares their responses."""

import http.client
import json
import urllib.parse

import compare
import odd
import toolchain

RESPONSE_SECONDS = 30

# The headers of an response that clients act on. Of the id of a request only the presence can be compared.
COMPARED_HEADERS = ("content-type", "retry-after", "allow")

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PURGE")


def load():
    """The requests of the file; among them each probe made of each form of an endpoint, and each path with each method
    that it does not have."""
    document = json.loads((toolchain.HERE / "raw_requests.json").read_text())
    forms = document["forms"]
    requests = [probed(form, probe) for form in forms for probe in document["probes"]]
    requests += wrong_methods(forms) + document["requests"]
    requests = [odd.lengthened(request, request.get("long", 0)) for request in requests]
    for request in requests:
        request["headers"] = document["headers"] | request.get("headers", {})
    names = [request["name"] for request in requests]
    if duplicates := {name for name in names if names.count(name) > 1}:
        raise ValueError(f"raw_requests.json makes two requests with one name: {duplicates}")
    return requests


def probed(form, probe):
    """The form as the probe changes it. The probe expects what it says, or what it says the form expects."""
    request = dict(form)
    if probe.get("without_input"):
        request.pop("query", None)
        request.pop("json", None)
    request |= probe
    request["name"] = f"{form['method']} {form['path']}: {probe['name']}"
    request["expect"] = probe.get("expect") or form[probe["expect_of_form"]]
    request["path"] = probe.get("slashes", "") + form["path"]
    request["query"] = "&".join(filter(None, [request.get("query"), probe.get("more_query")]))
    return request


def wrong_methods(forms):
    paths = {}
    for form in forms:
        paths.setdefault(form["path"], set()).add(form["method"])
    return [
        # The response to a HEAD has no body, so no error type.
        {"name": f"{method} {path}", "method": method, "path": path,
         "expect": "405" if method == "HEAD" else "405 method_not_allowed"}
        for path, allowed in paths.items() for method in METHODS if method not in allowed
    ]


def compare_responses(service, request):
    """Sends the request to both targets, on fresh data, and returns what is wrong with their responses."""
    sandbox = response_to(service, service.sandbox_url, request)
    face = response_to(service, service.face_url, request)
    problems = []
    name = compare.http_outcome(sandbox)
    if name != request["expect"]:
        problems.append(f"expected {request['expect']} of the sandbox, it was {name}: {compare.shown(sandbox)}")
    if "face" in request:
        return problems + compare.known_difference(request, request["face"], sandbox, face, compare.http_outcome(face))
    return problems + compare.differences(sandbox, face)


def response_to(service, endpoint, request):
    """The response to the request."""
    service.reset()
    if "faults" in request:
        service.prosper()
        for fault in request["faults"]:
            service.inject(fault)
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(endpoint).netloc, timeout=RESPONSE_SECONDS)
    try:
        send(connection, request, body_of(request))
        response = connection.getresponse()
        return seen(response, text_of(response))
    except (OSError, http.client.HTTPException) as error:
        return {"status": 0, "text": f"no response: {error!r}"}
    finally:
        connection.close()


def text_of(response):
    try:
        return response.read().decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        return f"truncated: {error!r}"


def send(connection, request, body):
    """Writes the request with the headers it has and no others, save those that HTTP itself needs."""
    target = request["path"] + ("?" + request["query"] if request.get("query") else "")
    connection.putrequest(request["method"], target, skip_accept_encoding=True)
    for name, value in request["headers"].items():
        if value is not None:
            connection.putheader(name, value)
    if body or request["method"] in ("POST", "PUT", "PATCH"):
        connection.putheader("content-length", str(len(body)))
    connection.endheaders(body or None)


def body_of(request):
    if "text" in request:
        body = request["text"].encode()
    elif "hex" in request:
        body = bytes.fromhex(request["hex"])
    elif "json" in request:
        body = json.dumps(request["json"]).encode()
    else:
        body = b""
    return body.ljust(request.get("padded_to", 0))


def seen(response, text):
    return compare.without_ids({
        "status": response.status,
        "headers": {name: response.headers.get_all(name) for name in COMPARED_HEADERS},
        "request_id": response.headers.get("seam-request-id"),
        "text": text,
    })
