"""Plays ../scenarios.json over REST with three clients that were generated from the OpenAPI document.

Environment: REST_URL (that of the REST face) and SANDBOX_URL. The argument is the program that call.go became.
"""

import json
import os
import pathlib
import sys
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "seam-sdk"))
import sdk  # noqa: E402

PROGRAMS = {
    "openapi-typescript": ["node", str(HERE / "generated/js/call.js")],
    "openapi-python-client": [sys.executable, str(HERE / "call.py")],
    "oapi-codegen": sys.argv[1:],
}
SECONDS = 10


def main():
    scenarios = json.loads((HERE.parent / "scenarios.json").read_text(encoding="utf-8"))
    counts = [0, 0]
    for name, command in PROGRAMS.items():
        program = sdk.Program(name, command)
        try:
            for scenario in scenarios:
                if scenario["rpc"] != "GrantAccess":
                    continue  # Health and reflection are gRPC's own.
                problems = list(play(program, scenario))
                counts[bool(problems)] += 1
                for problem in problems:
                    print(f"FAIL {name}: {scenario['name']}: {problem}")
        finally:
            program.stop()
    print(f"{counts[0]} passed, {counts[1]} failed")
    return 1 if counts[1] else 0


def play(program, scenario):
    """What is wrong with how a client sees the response of a scenario."""
    control("reset", {})
    if "fault" in scenario:
        control("faults", scenario["fault"])
    expect = scenario["expect"]
    seen = program.call({
        "url": os.environ["REST_URL"], "metadata": scenario["metadata"], "request": scenario["request"],
        "seconds": scenario.get("deadline_ms", SECONDS * 1000) / 1000})
    if expect["code"] == "DEADLINE_EXCEEDED":
        yield from difference("timeout", True, seen.get("timeout"))
        return
    status, headers, error = seen.get("status"), seen.get("headers", {}), seen.get("error")
    yield from difference("status", int(expect.get("http_status", 200)), status)
    yield from difference("retry-after", expect.get("retry_delay_seconds"), json.loads(headers.get("retry-after", "null")))
    if not headers.get("seam-request-id"):
        yield "there is no id"
    for member, value in expect.get("session", {}).items():
        yield from difference(member, value, (seen.get("session") or {}).get(member))
    if 400 <= status < 500:
        yield from difference("type", expect["type"], (error or {}).get("type"))
        tree = (error or {}).get("validation_errors", {})
        fields = [name for name in tree if name != "_errors"] or ([""] if tree.get("_errors") else [])
        yield from difference("fields", expect["fields"], sorted(fields))
    elif status == 503:  # This one is Seam's, without a body.
        yield from difference("error", None, error)


def control(route, body):
    request = urllib.request.Request(f"{os.environ['SANDBOX_URL']}/_sandbox/{route}", json.dumps(body).encode())
    urllib.request.urlopen(request, timeout=SECONDS).close()


def difference(what, expected, got):
    if expected != got:
        yield f"{what}: expected {expected!r}, got {got!r}"


if __name__ == "__main__":
    sys.exit(main())
