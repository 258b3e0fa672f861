"""Runs ../scenarios.json with the Python package, and checks what its retries mean to Seam.

Environment: GRPC_ADDRESS (host:port of the gRPC face, plaintext) and SANDBOX_URL (http://host:port of the sandbox).
"""

import datetime
import functools
import json
import os
import pathlib
import sys
import traceback
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import grpc
from google.protobuf import json_format
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2

import clientsession
from clientsession.v1 import client_session_service_pb2 as pb
from clientsession.v1 import client_session_service_pb2_grpc as pb_grpc

SERVICE = "seam.clientsession.v1.ClientSessionService"
SCENARIOS = pathlib.Path(__file__).resolve().parent.parent / "scenarios.json"
SECONDS = 10
SESSION = "3ada79d3-2848-4320-b2ef-a82e1e6dafac"
API_KEY = "seam_testSand_sandboxsandboxsandboxsan"

# What this runner knows of a scenario: an expectation that it cannot check must not pass unseen.
MEMBERS = {"name", "rpc", "fault", "metadata", "request", "deadline_ms", "expect"}
EXPECTATIONS = {
    "code", "session", "reason", "type", "http_status", "domain", "fields", "retry_delay_seconds", "status", "services",
}

Problems = Iterator[str]


def main() -> int:
    address, sandbox = os.environ["GRPC_ADDRESS"], Sandbox(os.environ["SANDBOX_URL"])
    checks: list[tuple[str, Callable[[], Problems]]] = [
        (scenario["name"], functools.partial(run, address, sandbox, scenario))
        for scenario in json.loads(SCENARIOS.read_text(encoding="utf-8"))
    ]
    checks.append(("retries do not multiply those of the service", functools.partial(retried, address, sandbox)))
    checks.append(("a rate limit is not retried", functools.partial(not_retried, address, sandbox)))
    failed = sum(not passes(name, check, sandbox) for name, check in checks)
    print(f"{len(checks) - failed} passed, {failed} failed")
    return 1 if failed else 0


def passes(name: str, check: Callable[[], Problems], sandbox: "Sandbox") -> bool:
    try:
        sandbox.post("reset")
        problems = list(check())
    except Exception:
        problems = traceback.format_exc().splitlines()
    if problems:
        print(f"FAIL {name}")
        for problem in problems:
            print(f"     {problem}")
    return not problems


class Sandbox:
    """Steers the in-memory Seam behind the service."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        # It runs on this machine, so no proxy of the environment stands before it.
        self.opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def post(self, route: str, body: Any = None) -> None:
        self.send(urllib.request.Request(
            f"{self.url}/_sandbox/{route}", method="POST", data=b"" if body is None else json.dumps(body).encode(),
            headers={"content-type": "application/json"}))

    def requests(self) -> int:
        """How many requests came from the service since the reset."""
        return len(self.send(urllib.request.Request(f"{self.url}/_sandbox/requests"))["requests"])

    def send(self, request: urllib.request.Request) -> Any:
        with self.opener.open(request, timeout=SECONDS) as response:
            return json.load(response)


def run(address: str, sandbox: Sandbox, scenario: dict[str, Any]) -> Problems:
    expect = scenario["expect"]
    if unknown := (scenario.keys() - MEMBERS) | (expect.keys() - EXPECTATIONS):
        yield f"this runner does not know {sorted(unknown)}"
    if "fault" in scenario:
        sandbox.post("faults", scenario["fault"])
    metadata = dict(scenario.get("metadata", {}))
    credential = metadata.pop("authorization", "").removeprefix("Bearer ") or None
    with clientsession.connect(address, credential) as channel:
        try:
            match scenario["rpc"]:
                case "GrantAccess":
                    problems = list(grant(channel, metadata, scenario))
                case "Health":
                    problems = list(health(channel, expect["status"]))
                case "Reflection":
                    problems = list(reflection(channel, expect["services"]))
                case rpc:
                    problems = [f"this runner cannot call {rpc}"]
            yield from differences("code", expect["code"], "OK")
            yield from problems
        except clientsession.Error as error:
            yield from error_differences(expect, error)


def grant(channel: grpc.Channel, metadata: dict[str, str], scenario: dict[str, Any]) -> Problems:
    request = json_format.ParseDict(scenario["request"], pb.GrantAccessRequest())
    response, call = pb_grpc.ClientSessionServiceStub(channel).GrantAccess.with_call(
        request, metadata=tuple(metadata.items()), timeout=scenario.get("deadline_ms", SECONDS * 1000) / 1000)
    yield from differences("ok", True, response.ok)
    if not dict(call.initial_metadata()).get("seam-request-id"):
        yield "the metadata seam-request-id is missing"
    for name, expected in scenario["expect"].get("session", {}).items():
        yield from differences(f"session.{name}", expected, value_of(response.client_session, name))


def value_of(message: Any, name: str) -> Any:
    """The value of a field, and None for one that is unset and can be."""
    if message.DESCRIPTOR.fields_by_name[name].has_presence and not message.HasField(name):
        return None
    value = getattr(message, name)
    return value if isinstance(value, (str, int, bool)) else list(value)


def error_differences(expect: dict[str, Any], error: clientsession.Error) -> Problems:
    yield from differences("code", expect["code"], error.code.name)
    if expect["code"] != error.code.name:
        yield str(error)
        return
    if expect["code"] == "DEADLINE_EXCEEDED":
        return  # The client may give up by itself, and then there is nothing more to read.
    delay = expect.get("retry_delay_seconds")
    for name, expected in {
        **{name: expect[name] for name in ("reason", "domain", "type")},
        "http_status": int(expect["http_status"]),
        "violations": expect["fields"],
        "retry_delay": None if delay is None else datetime.timedelta(seconds=delay),
    }.items():
        got = getattr(error, name)
        yield from differences(name, expected, [found.field for found in got] if name == "violations" else got)
    assert isinstance(error.__cause__, grpc.Call)
    metadata = dict([*(error.__cause__.initial_metadata() or ()), *(error.__cause__.trailing_metadata() or ())])
    if not error.request_id or not error.call_id:
        yield "there is no request id or no call id"
    yield from differences("request_id", metadata.get("seam-request-id"), error.request_id)
    yield from differences("call_id", metadata.get("x-request-id"), error.call_id)


def health(channel: grpc.Channel, status: str) -> Problems:
    for service in ("", SERVICE):
        response = health_pb2_grpc.HealthStub(channel).Check(
            health_pb2.HealthCheckRequest(service=service), timeout=SECONDS)
        name = health_pb2.HealthCheckResponse.ServingStatus.Name(response.status)
        yield from differences(f"health of {service!r}", status, name)


def reflection(channel: grpc.Channel, services: list[str]) -> Problems:
    # grpcio-reflection has the messages of v1alpha only. Those of v1 are the same under another name, so the call is
    # made by its path.
    call = channel.stream_stream(
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
        response_deserializer=reflection_pb2.ServerReflectionResponse.FromString)
    response = next(call(iter([reflection_pb2.ServerReflectionRequest(list_services="")]), timeout=SECONDS))
    listed = {service.name for service in response.list_services_response.service}
    if missing := set(services) - listed:
        yield f"reflection does not list {sorted(missing)}, only {sorted(listed)}"


def retried(address: str, sandbox: Sandbox) -> Problems:
    """The service retries a failed grant up to twice, and tells the channel not to retry."""
    sandbox.post("faults", {"status": 503})
    yield from differences("code", grpc.StatusCode.UNAVAILABLE, code_of_grant(address))
    if not 1 <= (requests := sandbox.requests()) <= 3:
        yield f"expected 1 to 3 requests to Seam, got {requests}"


def not_retried(address: str, sandbox: Sandbox) -> Problems:
    sandbox.post("faults", {"rate_limit": True, "retry_after": 7})
    yield from differences("code", grpc.StatusCode.RESOURCE_EXHAUSTED, code_of_grant(address))
    yield from differences("requests to Seam", 1, sandbox.requests())


def code_of_grant(address: str) -> grpc.StatusCode:
    with clientsession.connect(address, API_KEY) as channel:
        try:
            pb_grpc.ClientSessionServiceStub(channel).GrantAccess(pb.GrantAccessRequest(client_session_id=SESSION))
        except clientsession.Error as error:
            return error.code
    return grpc.StatusCode.OK


def differences(what: str, expected: Any, got: Any) -> Problems:
    if expected != got:
        yield f"{what}: expected {expected!r}, got {got!r}"


if __name__ == "__main__":
    sys.exit(main())
