"""A program that uses one of the SDKs, kept running: a line of JSON asks it for a call, and a line tells what it saw."""

import json
import queue
import subprocess
import threading

import toolchain

CALL_SECONDS = 60


class Gone(Exception):
    """The program ended or does not respond."""


class Program:
    def __init__(self, name, command):
        self.name = name
        self.process = subprocess.Popen(
            command, cwd=toolchain.HERE, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8",
            env=toolchain.quiet_environment(PYTHONUTF8="1"))
        self.lines = queue.Queue()
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            self.lines.put(line)
        self.lines.put(None)

    def call(self, call):
        try:
            self.process.stdin.write(json.dumps(call) + "\n")
            self.process.stdin.flush()
            line = self.lines.get(timeout=CALL_SECONDS)
        except queue.Empty:
            raise Gone(f"{self.name}: no response to {call['call']} in {CALL_SECONDS} seconds") from None
        except OSError as error:
            raise Gone(f"{self.name}: {error}") from None
        if line is None:
            raise Gone(f"{self.name}: the program ended")
        return json.loads(line)

    def stop(self):
        self.process.kill()
        self.process.wait()
