#!/usr/bin/env python3
"""Shows that a page in a browser, with Seam's JavaScript SDK, cannot tell the service's REST face from Seam: makes the
calls of scenarios.json in headless Chromium, once to the sandbox and once to the face before it, both of other origins
than the page, and compares what the page sees. Then shows that a page of an origin that is not listed gets nowhere.
"""

import argparse
import json
import queue
import subprocess
import sys
import tempfile
import time

import compare
import run
import sdk
import toolchain
from service import Service

START_SECONDS = 120
STOP_SECONDS = 20
WHOLE_RUN_SECONDS = 300

# What the page that is not listed tries: each kind of credential.
TRIED_UNLISTED = (
    "session token reads its own session", "client from a publishable key", "grant of a connected account by key",
)


class Browser(sdk.Program):
    """Chromium with its two pages, of which one makes the calls. To the scenarios it is the JavaScript SDK."""

    page = "listed"

    def __init__(self, command, profile):
        super().__init__("javascript", [*command, profile])
        try:
            line = self.lines.get(timeout=START_SECONDS)
        except queue.Empty:
            line = None
        if line is None:
            self.stop()
            raise toolchain.CannotRun("Chromium did not open its pages: its output is above")
        started = json.loads(line)
        self.version, self.origins = started["version"], started["origins"]

    def call(self, call):
        return super().call(call | {"page": self.page})

    def stop(self):
        """Lets the program end Chromium, which might outlive it otherwise."""
        self.process.stdin.close()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            super().stop()


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--only", metavar="TEXT", default="", help="run what has TEXT in its name only")
    chosen = arguments.parse_args()
    try:
        toolchain.check()
        command = ["node", str(toolchain.HERE / "call_browser.mjs"), toolchain.install_browser()]
        with tempfile.TemporaryDirectory(prefix="seam-sdk-", ignore_cleanup_errors=True) as directory:
            binary = toolchain.build_service(directory)
            browser = Browser(command, tempfile.mkdtemp(prefix="profile-", dir=directory))
            try:
                service = Service(binary, f"--cors-origin={browser.origins['listed']}")
                try:
                    return run_pages(service, browser, chosen.only)
                finally:
                    service.stop()
            finally:
                browser.stop()
    except (toolchain.CannotRun, sdk.Gone) as error:
        print(f"cannot run: {error}", file=sys.stderr)
        return 2


def run_pages(service, browser, only):
    print(f"Chromium {browser.version}")
    suite = run.Suite(time.monotonic() + WHOLE_RUN_SECONDS)
    scenarios = {s["name"]: s for s in run.load_scenarios(with_odd=False) if run.is_for(browser.name, s)}
    chosen = [scenario for name, scenario in scenarios.items() if only in name]
    for scenario in chosen:
        suite.record("listed page", scenario["name"], run.run_scenario(service, browser, scenario))
    service.with_preflights = True
    for name in TRIED_UNLISTED:
        suite.record("unlisted page", name, list(run_unlisted(service, browser, scenarios[name])))
    enough = only or len(chosen) >= run.LEAST_SCENARIOS
    if not enough:
        print(f"there are only {len(chosen)} scenarios, which is less than {run.LEAST_SCENARIOS}")
    return 0 if suite.report() and enough else 1


def run_unlisted(service, browser, scenario):
    """What is wrong with the calls that a page of an origin that is not listed makes at the face. From the listed page
    they succeed, and its preflights do not go to Seam either: it is for the origin that they fail."""
    browser.page = "listed"
    listed = run.make_calls(service, browser, service.face_url, scenario)
    for i, (step, seen) in enumerate(zip(scenario["steps"], listed)):
        if compare.outcome(seen) != step["expect"] or len(seen["requests"]) != step.get("requests", 1):
            yield f"step {i} from the listed page: {compare.shown(seen)}"
    browser.page = "unlisted"
    for i, seen in enumerate(run.make_calls(service, browser, service.face_url, scenario)):
        error = seen.get("error", {})
        if (error.get("class"), error.get("message")) != ("AxiosError", "Network Error") or "response" in seen:
            yield f"step {i}: the page sees {compare.shown(seen)}"
        if seen["requests"]:
            yield f"step {i}: Seam got {seen['requests']}"


if __name__ == "__main__":
    sys.exit(main())
