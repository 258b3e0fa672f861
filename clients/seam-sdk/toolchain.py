"""Finds the tools that the suite needs, builds the service, and installs the SDKs at their locked versions."""

import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent

# npm 11.4 is the first that writes and reads a lock file without the addresses of a registry.
LEAST = {"go": (1, 26), "node": (20, 0), "npm": (11, 4)}
LEAST_PYTHON = (3, 11)

INSTALL_SECONDS = 300


class CannotRun(Exception):
    """Why the suite cannot run, or not to its end: what has to be installed or repaired first."""


def check():
    """Fails unless every tool is there in a version that can do the work: a suite that skips proves nothing."""
    if sys.version_info < LEAST_PYTHON:
        raise CannotRun(f"install Python {dotted(LEAST_PYTHON)} or newer: this is {sys.version.split()[0]}")
    for tool, least in LEAST.items():
        if shutil.which(tool) is None:
            raise CannotRun(f"install {tool} {dotted(least)} or newer: there is none in PATH")
        version = run([tool, "version" if tool == "go" else "--version"], seconds=60)
        found = re.search(r"(\d+)\.(\d+)", version)
        if not found or tuple(map(int, found.groups())) < least:
            raise CannotRun(f"install {tool} {dotted(least)} or newer: this is {version.strip()}")
    try:
        import ensurepip  # noqa: F401 Debian leaves it out of its Python, and a virtual environment needs it.
    except ImportError:
        raise CannotRun("install the venv module of Python (python3-venv on Debian and Ubuntu)") from None


def dotted(version):
    return ".".join(map(str, version))


def build_service(into):
    binary = pathlib.Path(into) / "client-session-service"
    run(["go", "build", "-o", str(binary), "./cmd/client-session-service"], cwd=REPOSITORY)
    return binary


def install_javascript():
    """Installs the JavaScript SDK and returns the command that makes calls with it."""
    lock_files = [HERE / name for name in (".npmrc", "package.json", "package-lock.json")]
    install_once(HERE / "node_modules", lock_files, lambda: run(["npm", "ci", "--loglevel=error"]))
    return ["node", str(HERE / "call_javascript.mjs")]


def install_browser():
    """Installs the JavaScript SDK and Chromium, and returns the path of Chromium."""
    install_javascript()
    if shutil.which("chromium") is None:
        if os.geteuid() != 0 or shutil.which("apt-get") is None:
            raise CannotRun("install Chromium (the package chromium on Debian): there is no chromium in PATH")
        print("installing Chromium", flush=True)
        run(["apt-get", "update"])
        run(["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "--yes", "--no-install-recommends", "chromium"])
    if (chromium := shutil.which("chromium")) is None:
        raise CannotRun("apt-get installed the package chromium, and there is still no chromium in PATH")
    return chromium


def install_python():
    """Installs the Python SDK and returns the command that makes calls with it."""
    environment = HERE / ".venv"
    python = environment / "bin" / "python"

    def install():
        shutil.rmtree(environment, ignore_errors=True)
        run([sys.executable, "-m", "venv", str(environment)])
        run([str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes",
             "--only-binary=:all:", "--requirement", str(HERE / "requirements.txt")])

    install_once(environment, [HERE / "requirements.txt"], install, sys.version)
    return [str(python), str(HERE / "call_python.py")]


def install_once(directory, lock_files, install, *more):
    """Installs unless the directory was installed from these very lock files."""
    digest = hashlib.sha256(repr(more).encode())
    for path in lock_files:
        digest.update(path.read_bytes())
    stamp = directory / ".installed-from"
    if stamp.is_file() and stamp.read_text() == digest.hexdigest():
        return
    print(f"installing {directory.name}", flush=True)
    install()
    stamp.write_text(digest.hexdigest())


def run(command, cwd=HERE, seconds=INSTALL_SECONDS):
    try:
        done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=seconds)
    except subprocess.TimeoutExpired:
        raise CannotRun(f"{' '.join(command)}: not done after {seconds} seconds") from None
    if done.returncode != 0:
        raise CannotRun(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def quiet_environment(**more):
    """The environment of what is run under test: nothing of the caller's may steer the service or an SDK, such as a
    proxy, an endpoint or a key, so only what a program needs to start is left."""
    kept = ("PATH", "HOME", "LANG", "TMPDIR", "SYSTEMROOT")
    return {name: os.environ[name] for name in kept if name in os.environ} | more
