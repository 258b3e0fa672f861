"""The service under test, in front of its sandbox, and the control of that sandbox."""

import http.client
import json
import queue
import subprocess
import threading
import urllib.parse

import toolchain

# Ids, tokens and times of the sandbox follow from its clock, so a fixed one makes both runs of a scenario comparable.
NOW = "2026-06-01T00:00:00.000Z"

# The API key that the sandbox knows.
API_KEY = "seam_testSand_sandboxsandboxsandboxsan"

START_SECONDS = 30
STOP_SECONDS = 40
CONTROL_SECONDS = 10
GOOD_CALLS = 20


class Service:
    """A running service. Its two targets are sandbox_url (Seam, as it were) and face_url (the REST face before it)."""

    # Whether preflights are requests. How many a browser sends depends on what it remembers, so they do not compare.
    with_preflights = False

    def __init__(self, binary, *flags):
        self.process = subprocess.Popen(
            [binary, "--sandbox", "--sandbox-listen=127.0.0.1:0", "--grpc-listen=127.0.0.1:0",
             "--http-listen=127.0.0.1:0", "--admin-listen=127.0.0.1:0", "--drain-delay=0s", "--log-level=info",
             "--log-format=json", *flags],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            env=toolchain.quiet_environment())
        self.lines = queue.Queue()
        threading.Thread(target=self.read_log, daemon=True).start()
        ready = self.wait_until_ready()
        self.face_url = f"http://{ready['http']}"
        self.sandbox_url = ready["seam"].rstrip("/")
        self.sandbox_address = urllib.parse.urlsplit(self.sandbox_url).netloc

    def read_log(self):
        waiting = True
        for line in self.process.stderr:
            if waiting:
                self.lines.put(line)
            waiting = waiting and '"msg":"ready"' not in line
        self.lines.put(None)

    def wait_until_ready(self):
        seen = []
        try:
            while (line := self.lines.get(timeout=START_SECONDS)) is not None:
                seen.append(line)
                if '"msg":"ready"' in line:
                    return json.loads(line)
        except queue.Empty:
            pass
        self.stop()
        raise toolchain.CannotRun("the service did not start:\n" + "".join(seen))

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def reset(self):
        self.control("POST", "reset", {"now": NOW})

    def prosper(self):
        """Makes good calls through the face. Its circuit breaker opens while most calls fail, and in scenarios in which
        Seam fails they do, as they hardly ever do in a service that others use meanwhile."""
        connection = http.client.HTTPConnection(urllib.parse.urlsplit(self.face_url).netloc, timeout=CONTROL_SECONDS)
        try:
            for _ in range(GOOD_CALLS):
                connection.request("GET", "/client_sessions/list", headers={"authorization": f"Bearer {API_KEY}"})
                response = connection.getresponse()
                response.read()
                if response.status != 200:
                    raise toolchain.CannotRun(f"a valid call gets {response.status}")
        finally:
            connection.close()
        self.take_requests()

    def inject(self, fault):
        self.control("POST", "faults", fault)

    def take_requests(self):
        """The paths of the requests that the sandbox got since the last call of this method."""
        requests = self.control("GET", "requests")["requests"]
        self.control("DELETE", "requests")
        return ["/" + request["path"].lstrip("/") for request in requests
                if self.with_preflights or request["method"] != "OPTIONS"]

    def control(self, method, route, body=None):
        connection = http.client.HTTPConnection(self.sandbox_address, timeout=CONTROL_SECONDS)
        try:
            connection.request(method, f"/_sandbox/{route}", None if body is None else json.dumps(body))
            response = connection.getresponse()
            text = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise toolchain.CannotRun(f"the service does not respond any more: {error!r}") from None
        finally:
            connection.close()
        if response.status != 200:
            raise toolchain.CannotRun(f"the sandbox refused {method} {route} {body}: {text.decode()}")
        return json.loads(text)
