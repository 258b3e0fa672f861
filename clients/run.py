#!/usr/bin/env python3
"""Proves the stubs by programs that use them: starts the service with its sandbox, and lets the client in each language
play scenarios.json against it.

    python3 run.py [go] [typescript] [python] [java] [rest]
"""

import argparse
import dataclasses
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

CLIENTS = pathlib.Path(__file__).resolve().parent

# The suite for Seam's own SDKs starts the same service and needs much the same tools.
sys.path.insert(0, str(CLIENTS / "seam-sdk"))
import service as seam_sdk_service  # noqa: E402
import toolchain  # noqa: E402

# A first build may fetch what it depends on from a registry; the scenarios themselves take a second or two.
BUILD_SECONDS = 600
PLAY_SECONDS = 120

LEAST = toolchain.LEAST | {"javac": (17, 0), "mvn": (3, 8)}
ASK_VERSION = {"go": "version"}


@dataclasses.dataclass
class Language:
    """How to build and start the client of a language, in its folder. {out} is a folder for what is built.

    What `install` brings into the folder `installed` is used again for as long as the files in `locks` stay the same;
    `build` is done each time, and that is when the language's compiler sees the stubs.
    """

    tools: list[str]
    build: list[list[str]]
    play: list[str]
    install: list[list[str]] = dataclasses.field(default_factory=list)
    installed: str = ""
    locks: list[str] = dataclasses.field(default_factory=list)


PIP = [".venv/bin/python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
VENV = [
    [sys.executable, "-m", "venv", "--clear", ".venv"],
    [*PIP, "--require-hashes", "--only-binary=:all:", "--requirement=requirements.txt"],
]
OPENAPI = "../../gen/openapi/openapi.json"

LANGUAGES = {
    "go": Language(
        tools=["go"],
        build=[["go", "vet", "./..."], ["go", "build", "-o", "{out}/scenarios", "./scenarios"]],
        play=["{out}/scenarios", "../scenarios.json"]),
    "typescript": Language(
        tools=["node", "npm"],
        # npm copies the stubs, so they are among what has to stay the same.
        install=[["npm", "ci", "--loglevel=error"]],
        installed="node_modules",
        locks=["package.json", "package-lock.json", "../../gen/ts/**/*.*"],
        build=[["npm", "run", "--silent", "build"]],
        play=["npm", "test", "--silent"]),
    "python": Language(
        tools=[],
        install=VENV,
        installed=".venv",
        locks=["requirements.txt"],
        build=[
            [*PIP, "--no-index", "--no-build-isolation", "--no-deps", "--force-reinstall", "../../gen/python"],
            [".venv/bin/python", "-m", "mypy", "--no-error-summary", ".", "../../gen/python/src"],
            [".venv/bin/python", "-m", "unittest"],
        ],
        play=[".venv/bin/python", "scenarios.py"]),
    "java": Language(
        tools=["javac", "mvn"],
        build=[["mvn", "-B", "-q", "package"]],
        play=["java", "-jar", "scenarios/target/client-session-scenarios.jar", "../scenarios.json"]),
    # Three languages, each with a client that is generated from the OpenAPI document.
    "rest": Language(
        tools=["node", "npm"],
        install=[*VENV, ["npm", "ci", "--loglevel=error"]],
        installed=".venv",
        locks=["requirements.txt", "package.json", "package-lock.json"],
        build=[
            ["npm", "run", "--silent", "build"],
            [".venv/bin/openapi-python-client", "generate", f"--path={OPENAPI}", "--config=openapi-python-client.yaml",
             "--meta=none", "--output-path=generated/seam_rest", "--overwrite", "--fail-on-warning"],
            ["go", "tool", "oapi-codegen", "--config=oapi-codegen.yaml", OPENAPI],
            ["go", "build", "-o", "{out}/call", "."],
        ],
        play=[".venv/bin/python", "play.py", "{out}/call"]),
}


def main():
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("language", nargs="*", help="of " + ", ".join(LANGUAGES) + "; all of them without any")
    chosen = arguments.parse_args().language or list(LANGUAGES)
    if unknown := set(chosen) - LANGUAGES.keys():
        arguments.error(f"there is no client in {', '.join(sorted(unknown))}")
    try:
        check_tools(chosen)
        with tempfile.TemporaryDirectory(prefix="clients-") as out:
            return run(chosen, out)
    except toolchain.CannotRun as error:
        print(f"cannot run: {error}", file=sys.stderr)
        return 2


def run(chosen, out):
    scenarios = len(json.loads((CLIENTS / "scenarios.json").read_text(encoding="utf-8")))
    binary = toolchain.build_service(out)
    lines, total = [], [0, 0]
    for name in chosen:
        started = time.monotonic()
        # Each has its own service: how often it retries depends on its retry budget.
        service = Service(binary)
        try:
            passed, failed = play(name, service, scenarios, out)
        finally:
            service.stop()
        lines.append(f"{name}: {passed} passed, {failed} failed in {time.monotonic() - started:.0f} s")
        total = [total[0] + passed, total[1] + failed]
    print("\n".join(lines))
    print(f"{total[0]} passed, {total[1]} failed")
    return 1 if total[1] else 0


class Service(seam_sdk_service.Service):
    """The service, with the address of its gRPC face."""

    def wait_until_ready(self):
        ready = super().wait_until_ready()
        self.grpc_address = ready["grpc"]
        return ready


def check_tools(languages):
    """Fails unless every tool is there: a suite that skips a language proves nothing about it."""
    for tool in dict.fromkeys(["go"] + [tool for language in languages for tool in LANGUAGES[language].tools]):
        wanted = f"install {tool} {toolchain.dotted(LEAST[tool])} or newer"
        if shutil.which(tool) is None:
            raise toolchain.CannotRun(f"{wanted}: there is none in PATH")
        version = bounded([tool, ASK_VERSION.get(tool, "--version")], CLIENTS, 60, dict(os.environ)).stdout
        version = re.sub(r"\x1b\[[0-9;]*m", "", version)  # Maven prints its version in bold, terminal or not.
        found = re.search(r"(\d+)(?:\.(\d+))?", version)
        if not found or tuple(int(part or 0) for part in found.groups()) < LEAST[tool]:
            raise toolchain.CannotRun(f"{wanted}: this is {version.strip()}")
    if {"python", "rest"} & set(languages):
        if sys.version_info < toolchain.LEAST_PYTHON:
            least = toolchain.dotted(toolchain.LEAST_PYTHON)
            raise toolchain.CannotRun(f"install Python {least} or newer: this is {sys.version.split()[0]}")
        try:
            import ensurepip  # noqa: F401 Debian leaves it out of its Python, and a virtual environment needs it.
        except ImportError:
            raise toolchain.CannotRun("install the venv module of Python (python3-venv on Debian)") from None


def play(name, service, scenarios, out):
    """Builds and runs the client of a language and returns how many scenarios passed and failed."""
    print(f"== {name}", flush=True)
    language, folder = LANGUAGES[name], CLIENTS / name
    try:
        if language.install:
            locks = sorted(path for pattern in language.locks for path in folder.glob(pattern) if path.is_file())
            toolchain.install_once(
                folder / language.installed, locks, lambda: build(language.install, folder, out), sys.version)
        build(language.build, folder, out)
        done = bounded(filled_in(language.play, out), folder, PLAY_SECONDS, toolchain.quiet_environment(
            GRPC_ADDRESS=service.grpc_address, REST_URL=service.face_url, SANDBOX_URL=service.sandbox_url,
            PYTHONUTF8="1"))
    except toolchain.CannotRun as error:
        print(error, flush=True)
        return 0, scenarios
    print(done.stdout + done.stderr, end="", flush=True)
    counts = re.search(r"(?:^|\n)(\d+) passed, (\d+) failed\n*$", done.stdout)
    if not counts:
        print(f"{name} did not close with its counts (exit code {done.returncode})", flush=True)
        return 0, scenarios
    passed, failed = int(counts[1]), int(counts[2])
    if passed + failed < scenarios:
        print(f"{name} played {passed + failed} of {scenarios} scenarios", flush=True)
        failed = scenarios - passed
    if done.returncode and not failed:
        print(f"{name} ended with exit code {done.returncode}", flush=True)
        failed = 1
    return passed, failed


def build(commands, folder, out):
    for command in commands:
        done = bounded(filled_in(command, out), folder, BUILD_SECONDS, dict(os.environ))
        if done.returncode:
            raise toolchain.CannotRun(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")


def filled_in(command, out):
    return [argument.replace("{out}", out) for argument in command]


def bounded(command, folder, seconds, environment):
    """Runs a command to its end, or ends it and all that it started when the time is over."""
    process = subprocess.Popen(
        command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, encoding="utf-8", errors="replace", start_new_session=True)
    try:
        stdout, stderr = process.communicate(timeout=seconds)
    except BaseException as error:
        os.killpg(process.pid, signal.SIGKILL)
        stdout, stderr = process.communicate()
        if isinstance(error, subprocess.TimeoutExpired):
            raise toolchain.CannotRun(
                f"{' '.join(command)}: not done after {seconds} seconds\n{stdout}{stderr}") from None
        raise
    return subprocess.CompletedProcess(command, process.returncode, stdout, stderr)


if __name__ == "__main__":
    sys.exit(main())
