#!/usr/bin/env python3
"""Shows that a person can try the API at /docs of the REST face, in headless Chromium, behind a proxy that serves it below
a prefix: the page loads from the service alone and without an error of the console, takes a key, and shows the session to
which it grants access.
"""

import json
import sys
import tempfile

import toolchain
from service import API_KEY, Service

# The ids of the sandbox: the session of the page's example, and an account that the session does not have before.
SESSION = "3ada79d3-2848-4320-b2ef-a82e1e6dafac"
ACCOUNT = "11111111-2222-4333-8444-555555555555"

# Each route in each of its methods.
OPERATIONS = 12

SECONDS = 120


def main():
    try:
        toolchain.check()
        chromium = toolchain.install_browser()
        with tempfile.TemporaryDirectory(prefix="api-docs-", ignore_cleanup_errors=True) as directory:
            service = Service(toolchain.build_service(directory))
            try:
                seen = use_page(chromium, tempfile.mkdtemp(prefix="profile-", dir=directory), service)
                wrong = list(faults(service, seen))
            finally:
                service.stop()
    except toolchain.CannotRun as error:
        print(f"cannot run: {error}", file=sys.stderr)
        return 2
    for line in wrong:
        print(line)
    print("API page: " + ("FAILED" if wrong else f"{len(seen['requests'])} requests, all to the service"))
    return 1 if wrong else 0


def use_page(chromium, profile, service):
    command = ["node", str(toolchain.HERE / "try_docs.mjs"), chromium, profile, service.face_url, API_KEY, ACCOUNT]
    return json.loads(toolchain.run(command, seconds=SECONDS))


def faults(service, seen):
    """What is wrong with what the page showed."""
    if seen["problems"]:
        yield f"the page or its console says {seen['problems']}"
    outside = [url for url in seen["requests"] if not url.startswith((seen["home"] + "/", "data:", "blob:"))]
    if outside or not seen["requests"]:
        yield f"requests to others: {outside} of {seen['requests']}"
    if "operations" not in seen:
        return
    if seen["operations"] != OPERATIONS:
        yield f"the page shows {seen['operations']} operations, not {OPERATIONS}"
    if seen["stored"]:
        yield "the page stores something in the browser"
    session = {}
    if seen["status"] == "200":
        session = json.loads(seen["text"]).get("client_session", {})
    if session.get("client_session_id") != SESSION or ACCOUNT not in session.get("connected_account_ids", []):
        yield f"the grant of {seen['example']} shows {seen['status']} {seen['text']}"
    if "/client_sessions/grant_access" not in service.take_requests():
        yield "the grant did not reach Seam"


if __name__ == "__main__":
    sys.exit(main())
