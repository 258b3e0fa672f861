#!/usr/bin/env python3
"""Shows that Seam's own SDKs cannot tell the service's REST face from Seam: makes each call of scenarios.json and of
odd_responses.json with each SDK, and sends each request of raw_requests.json, once to the sandbox and once to the face
before it, and compares.
"""

import argparse
import json
import sys
import tempfile
import time

import compare
import odd
import raw
import sdk
import toolchain
from service import Service

LEAST_SCENARIOS = 40
MOST_RESTARTS = 3
WHOLE_RUN_SECONDS = 900

INSTALLERS = {"javascript": toolchain.install_javascript, "python": toolchain.install_python}

# What the face can see to be wrong by itself need not go to Seam. It must not send more than the caller did, ever.
REFUSED_BY_FACE = {
    "400 invalid_input", "400 invalid_query_params", "400 invalid_content_type", "404 not_found",
    "405 method_not_allowed",
}


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--sdk", choices=sorted(INSTALLERS), help="run one SDK only")
    arguments.add_argument("--only", metavar="TEXT", default="", help="run what has TEXT in its name only")
    chosen = arguments.parse_args()
    try:
        toolchain.check()
        commands = {name: install() for name, install in INSTALLERS.items() if chosen.sdk in (None, name)}
        with tempfile.TemporaryDirectory(prefix="seam-sdk-") as directory:
            service = Service(toolchain.build_service(directory))
            try:
                return run(service, commands, chosen)
            finally:
                service.stop()
    except toolchain.CannotRun as error:
        print(f"cannot run: {error}", file=sys.stderr)
        return 2


def run(service, commands, chosen):
    suite = Suite(time.monotonic() + WHOLE_RUN_SECONDS)
    scenarios = load_scenarios()
    enough = True
    for name, command in commands.items():
        suitable = [s for s in scenarios if is_for(name, s) and chosen.only in s["name"]]
        run_sdk(suite, service, name, command, suitable)
        if not chosen.only and len(suitable) < LEAST_SCENARIOS:
            print(f"{name} has only {len(suitable)} scenarios, which is less than {LEAST_SCENARIOS}")
            enough = False
    if chosen.sdk is None:
        for request in raw.load():
            if chosen.only in request["name"]:
                suite.record("http", request["name"], raw.compare_responses(service, request))
    if chosen.sdk or chosen.only:
        print("this was a part of the suite")
    return 0 if suite.report() and enough else 1


class Suite:
    """The counts, by part, and the clock."""

    def __init__(self, deadline):
        self.deadline = deadline
        self.parts = {}

    def record(self, part, name, problems):
        if time.monotonic() > self.deadline:
            raise toolchain.CannotRun(f"the suite is not done after {WHOLE_RUN_SECONDS} seconds")
        counts = self.parts.setdefault(part, [0, 0])
        counts[bool(problems)] += 1
        if problems:
            print(f"FAIL {part}: {name}")
            for problem in problems:
                print(f"     {problem}")

    def report(self):
        """Prints the counts, and returns whether there is something that passed and nothing that failed."""
        for part, (passed, failed) in self.parts.items():
            print(f"{part}: {passed} of {passed + failed} the same or known to differ")
        passed, failed = (sum(counts) for counts in zip([0, 0], *self.parts.values()))
        print(f"{passed} passed, {failed} failed")
        return passed and not failed


def load_scenarios(with_odd=True):
    document = json.loads((toolchain.HERE / "scenarios.json").read_text())
    scenarios = document["scenarios"] + (odd.scenarios() if with_odd else [])
    names = [scenario["name"] for scenario in scenarios]
    if repeated := {name for name in names if names.count(name) > 1}:
        raise ValueError(f"two scenarios have one name: {repeated}")
    return [filled_in(scenario, document) for scenario in scenarios]


def is_for(sdk_name, scenario):
    return scenario.get("only", {}).get("sdk", sdk_name) == sdk_name


def filled_in(value, document):
    """The value with `$name` replaced by what stands under that name in the values, or else in the credentials."""
    if isinstance(value, list):
        return [filled_in(item, document) for item in value]
    if isinstance(value, dict):
        return {name: filled_in(member, document) for name, member in value.items()}
    if isinstance(value, str) and value.startswith("$"):
        name = value[1:]
        found = document["values"].get(name, document["credentials"].get(name))
        return filled_in(found, document)
    return value


def run_sdk(suite, service, name, command, scenarios):
    program = sdk.Program(name, command)
    restarts = 0
    try:
        for scenario in scenarios:
            try:
                problems = run_scenario(service, program, scenario)
            except sdk.Gone as error:
                problems = [str(error)]
                restarts += 1
                if restarts > MOST_RESTARTS:
                    raise toolchain.CannotRun(str(error)) from None
                program.stop()
                program = sdk.Program(name, command)
            suite.record(name, scenario["name"], problems)
    finally:
        program.stop()


def run_scenario(service, program, scenario):
    direct = make_calls(service, program, service.sandbox_url, scenario)
    fronted = make_calls(service, program, service.face_url, scenario)
    problems = []
    for i, (step, sandbox, face) in enumerate(zip(scenario["steps"], direct, fronted)):
        where = f"step {i} ({step['call']})"
        problems += [f"{where}: {line}" for line in wrong(program.name, step, sandbox, face)]
    return problems


def wrong(sdk_name, step, sandbox, face):
    """What is wrong with what came of a step."""
    yield from unexpected(sdk_name, step, sandbox)
    known = for_sdk(step.get("face"), sdk_name)
    if known:
        name = compare.outcome(face)
        yield from compare.known_difference(step, known, sandbox, face, name)
        expected = for_sdk(step.get("face_requests", len(sandbox["requests"])), sdk_name)
        if (sent := len(face["requests"])) != expected:
            yield f"expected {expected} requests of the face, it made {sent}"
        return
    if not face["requests"] and compare.outcome(sandbox) in REFUSED_BY_FACE:
        face["requests"] = sandbox["requests"]
    yield from compare.differences(sandbox, face)


def for_sdk(value, sdk_name):
    """The value, or that for the SDK where there is one for each."""
    return value[sdk_name] if isinstance(value, dict) and sdk_name in value else value


def unexpected(sdk_name, step, seen):
    """What came of a call at the sandbox, if it is not what the scenario is there to show."""
    expected = for_sdk(step["expect"], sdk_name)
    if (outcome := compare.outcome(seen)) != expected:
        yield f"expected {expected} of the sandbox, it was {outcome}: {compare.shown(seen)}"
    if (sent := len(seen["requests"])) != step.get("requests", sent):
        yield f"expected {step['requests']} requests to the sandbox, it got {sent}"


def fails(fault):
    """Whether the fault counts as a failure for the circuit breaker of the face."""
    return fault.get("status", 0) >= 500 or "disconnect" in fault


def make_calls(service, program, endpoint, scenario):
    """Makes the calls of a scenario at the endpoint, on fresh data, and returns what was seen of each."""
    service.reset()
    if any(fails(fault) for step in scenario["steps"] for fault in step.get("faults", [])):
        service.prosper()
    records = []
    for step in scenario["steps"]:
        for fault in step.get("faults", []):
            service.inject(fault)
        call = {
            "endpoint": endpoint,
            "credential": step.get("credential", scenario["credential"]),
            "call": step["call"],
            "retries": step.get("retries"),
        }
        if "with" in step:
            call["params"] = step["with"]
        seen = program.call(with_results(call, records))
        seen["requests"] = service.take_requests()
        records.append(compare.without_ids(seen))
    return records


def with_results(value, records):
    """The value with `@0.token` replaced by the token that the first step returned."""
    if isinstance(value, list):
        return [with_results(item, records) for item in value]
    if isinstance(value, dict):
        return {name: with_results(member, records) for name, member in value.items()}
    if isinstance(value, str) and value.startswith("@"):
        step, *path = value[1:].split(".")
        found = records[int(step)].get("value")
        for name in path:
            # A step that failed has no result, which is a difference of its own: let the later ones fail, too.
            found = found.get(name, "") if isinstance(found, dict) else ""
        return found
    return value


if __name__ == "__main__":
    sys.exit(main())
