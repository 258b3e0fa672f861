"""Uses what `make release` has put into dist/ as those do who get it: starts the released service, installs each
package into an empty project in its language, and makes a call with the program that clients/ has as the example."""

import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import unittest

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
CLIENTS, DIST, TOOLS = REPOSITORY / "clients", REPOSITORY / "dist", REPOSITORY / ".tools"
VERSION = (REPOSITORY / "VERSION").read_text(encoding="utf-8").strip()
MODULE = "github.com/clientsession/client-session-service"

# The tests of the clients start the same service and need the same tools.
sys.path.insert(0, str(CLIENTS))
import run as clients  # noqa: E402

PLATFORMS = ["linux_amd64", "linux_arm64", "darwin_amd64", "darwin_arm64"]
JAR = f"client-session-stubs-{VERSION}"
WHEEL = f"client_session_service_stubs-{VERSION}-py3-none-any.whl"
TARBALL = f"clientsession-stubs-{VERSION}.tgz"
MODULE_PROXY = f"client-session-stubs-go-{VERSION}.tar.gz"
NAMES = sorted([
    *(f"client-session-service_{VERSION}_{platform}.tar.gz" for platform in PLATFORMS),
    f"client-session-service_{VERSION}_image.tar", f"client-session-service_{VERSION}.cdx.json",
    f"client-session-service-{VERSION}.tgz", MODULE_PROXY,
    WHEEL, f"client_session_service_stubs-{VERSION}.tar.gz", TARBALL, f"{JAR}.jar", f"{JAR}-sources.jar", f"{JAR}.pom",
])

# What the sandbox has.
API_KEY = "seam_testSand_sandboxsandboxsandboxsan"
SESSION = "3ada79d3-2848-4320-b2ef-a82e1e6dafac"
ACCOUNT = "c35ecf64-474a-466a-95a6-7b35cb4c8bb4"

SECONDS = 300


def run(*command, folder=REPOSITORY, **environment):
    """Runs a command to its end and returns its stdout. It fails with all that the command said."""
    command = [str(part) for part in command]
    done = clients.bounded(command, folder, SECONDS, os.environ | environment)
    if done.returncode:
        raise AssertionError(f"{' '.join(command)} ends with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def checksums():
    lines = (DIST / "SHA256SUMS").read_text(encoding="utf-8").splitlines()
    return {name: digest for digest, name in (line.split("  ") for line in lines)}


def build_info(binary):
    """What a Go binary says of itself: its modules with their versions, and how it was built."""
    modules, settings = {}, {}
    for line in run("go", "version", "-m", binary).splitlines()[1:]:
        kind, *rest = line.split() or [""]
        if kind == "dep":
            modules[rest[0]] = rest[1] if len(rest) > 1 else ""
        elif kind == "build":
            name, _, value = rest[0].partition("=")
            settings[name] = value
    return modules, settings


class Release(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        clients.check_tools(list(clients.LANGUAGES))
        cls.folder = pathlib.Path(cls.enterClassContext(tempfile.TemporaryDirectory(prefix="release-")))
        cls.binaries = {}
        for platform in PLATFORMS:
            into = cls.folder / platform
            with tarfile.open(DIST / f"client-session-service_{VERSION}_{platform}.tar.gz") as archive:
                archive.extractall(into, filter="data")
            cls.binaries[platform] = into / "client-session-service"
        machine = {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine]
        cls.binary = cls.binaries[f"{os.uname().sysname.lower()}_{machine}"]
        cls.service = clients.Service(cls.binary)
        cls.addClassCleanup(cls.service.stop)

    def project(self):
        """An empty folder outside of the checkout."""
        return pathlib.Path(self.enterContext(tempfile.TemporaryDirectory(prefix="project-")))

    def test_names_and_checksums(self):
        found = sorted(path.name for path in DIST.iterdir() if path.is_file() and path.name != "SHA256SUMS")
        self.assertEqual(NAMES, found)
        self.assertEqual(checksums(), {
            name: hashlib.sha256((DIST / name).read_bytes()).hexdigest() for name in found})

    def test_binaries(self):
        self.assertEqual(VERSION, run(self.binary, "--version").strip())
        modules, _ = build_info(self.binaries["linux_amd64"])
        for platform, binary in self.binaries.items():
            with self.subTest(platform):
                found, settings = build_info(binary)
                self.assertEqual(platform, f"{settings['GOOS']}_{settings['GOARCH']}")
                self.assertEqual(("0", "true"), (settings["CGO_ENABLED"], settings["-trimpath"]))
                self.assertLessEqual(found.items(), modules.items())  # On macOS there is no procfs.
                self.assertNotIn(str(REPOSITORY).encode(), binary.read_bytes())

    def test_bill_of_materials(self):
        bill = json.loads((DIST / f"client-session-service_{VERSION}.cdx.json").read_text(encoding="utf-8"))
        self.assertEqual(("CycloneDX", f"v{VERSION}"), (bill["bomFormat"], bill["metadata"]["component"]["version"]))
        listed = {component["name"]: component.get("version", "") for component in bill["components"]}
        self.assertRegex(listed.pop("std"), r"^go1\.\d+")
        del listed["./gen/go"]  # The stubs of the same commit.
        modules, _ = build_info(self.binaries["linux_amd64"])
        del modules[f"{MODULE}/gen/go"]
        self.assertEqual(modules, listed)

    def test_go(self):
        """The program of the README gets the module from the released file, or by its tag, which has the name of the
        module's folder. A clone stands in for the remote repository, and the machine's own module cache for the proxy; the
        test leaves nothing in either."""
        program = re.search(r"```go\n(.*?)```", (REPOSITORY / "gen" / "go" / "README.md").read_text(), re.DOTALL)[1]
        self.assertTrue((CLIENTS / "go" / "example" / "main.go").read_text().endswith(program))
        proxy, clone, config = self.folder / "proxy", self.folder / "clone", self.folder / "gitconfig"
        with tarfile.open(DIST / MODULE_PROXY) as archive:
            archive.extractall(proxy, filter="data")
        run("git", "clone", "--quiet", "--no-hardlinks", REPOSITORY, clone)
        run("git", "-C", clone, "tag", f"gen/go/v{VERSION}")
        config.write_text(f'[url "file://{clone}"]\ninsteadOf = https://{MODULE}\n')
        proxies = f"file://{run('go', 'env', 'GOMODCACHE').strip()}/cache/download,{run('go', 'env', 'GOPROXY').strip()}"
        self.assertEqual(
            self.play_go(program, GOPROXY=f"file://{proxy},{proxies}", GONOSUMDB=MODULE),
            self.play_go(program, GOPROXY=proxies, GOPRIVATE=MODULE, GIT_CONFIG_GLOBAL=str(config)))

    def play_go(self, program, **environment):
        """Builds and runs a program in an empty project and returns the checksums of the stubs."""
        project = self.project()
        go = environment | {
            "GOMODCACHE": str(project / "modules"), "GOFLAGS": "-modcacherw -trimpath",
            "CGO_ENABLED": "0",  # As for what is released, whose packages are compiled already.
        }
        (project / "main.go").write_text(program)
        shutil.copy(CLIENTS / "go" / "go.sum", project)
        run("go", "mod", "init", "example.com/program", folder=project, **go)
        run("go", "get", f"{MODULE}/gen/go@v{VERSION}", folder=project, **go)
        run("go", "mod", "tidy", folder=project, **go)
        run("go", "build", "-o", "program", ".", folder=project, **go)
        for user in "jane_doe", "somebody_new":
            self.assertEqual("granted\n", run(
                project / "program", user, ACCOUNT, ADDRESS=self.service.grpc_address, SEAM_API_KEY=API_KEY))
        sums = [line for line in (project / "go.sum").read_text().splitlines() if line.startswith(f"{MODULE}/")]
        self.assertEqual(2, len(sums))
        return sums

    def test_python(self):
        """The README's programs, in an empty project."""
        project = self.project()
        readme = (REPOSITORY / "gen" / "python" / "README.md").read_text(encoding="utf-8")
        programs = re.findall(r"^```python\n(.*?)^```", readme, re.DOTALL | re.MULTILINE)
        for name, program in zip(["grant_access.py", "get.py"], programs, strict=True):
            (project / name).write_text(program)
        python, install = self.python(project, "python")
        run(*install, DIST / WHEEL)
        for session in SESSION, "00000000-0000-4000-8000-000000000000":
            self.assertIn(SESSION, run(
                python, "grant_access.py", self.service.grpc_address, session, ACCOUNT,
                folder=project, SEAM_API_KEY=API_KEY))
        self.assertEqual("jane_doe\n", run(
            python, "get.py", self.service.grpc_address, SESSION, folder=project, SEAM_API_KEY=API_KEY))
        run(*install, "mypy", "client-session-service-stubs[types]")
        run(python, "-m", "mypy", "--strict", "grant_access.py", "get.py", folder=project)
        self.assertEqual(programs[0], (CLIENTS / "python" / "grant_access.py").read_text(encoding="utf-8"))

    def test_python_beside_the_sdk(self):
        """Seam's SDK is the package `seam`, which must not shadow the stubs, however the two are installed."""
        project = self.project()
        python, install = self.python(project, "python", "seam-sdk")
        both = [python, "-c", "import seam, clientsession.v1.client_session_service_pb2_grpc; seam.Seam"]
        run(*install, "seam")
        run(*install, "--target", project / "stubs", DIST / WHEEL)
        run(*both, folder=project, PYTHONPATH=str(project / "stubs"))
        run(*install, DIST / WHEEL)
        run(*both, folder=project)
        run(*install, "--target", project / "all", DIST / WHEEL, "seam")
        run(sys.executable, *both[1:], folder=project, PYTHONPATH=str(project / "all"))

    def python(self, project, *clients_of):
        """A virtual environment, and the command that installs into it, at the versions that the clients are tested
        with. What is installed is what the wheel asks for."""
        locks = [(CLIENTS / name / "requirements.txt").read_text(encoding="utf-8") for name in clients_of]
        versions = re.findall(r"^[a-z-]+==[^\\\n]+", "\n".join(locks), re.MULTILINE)  # With the markers.
        (project / "constraints.txt").write_text("\n".join(versions))
        run(sys.executable, "-m", "venv", project / "venv")
        python = project / "venv" / "bin" / "python"
        return python, [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary=:all:",
                        "--constraint", project / "constraints.txt"]

    def test_npm(self):
        """The program of the package's README, in a project for which npm installs the peer dependencies by itself."""
        project = self.project()
        example = json.loads((CLIENTS / "typescript" / "package.json").read_text())
        versions = example["dependencies"] | {"@clientsession/stubs": f"file:{DIST / TARBALL}"}
        (project / "package.json").write_text(json.dumps({
            "dependencies": {"@clientsession/stubs": versions.pop("@clientsession/stubs")},
            "devDependencies": example["devDependencies"], "overrides": versions}))
        shutil.copy(CLIENTS / "typescript" / ".npmrc", project)
        run("npm", "install", "--loglevel=error", folder=project)
        readme = (project / "node_modules" / "@clientsession" / "stubs" / "README.md").read_text()
        (project / "grant.mts").write_text(re.search(r"```ts\n(.*?)```", readme, re.DOTALL)[1])
        run("npx", *re.search(r"npx (tsc .*)", readme)[1].split(), folder=project)
        environment = {"ADDRESS": self.service.grpc_address, "SEAM_API_KEY": API_KEY}
        self.assertIn(SESSION, run("node", "grant.mjs", folder=project, **environment))
        with self.assertRaisesRegex(AssertionError, "there is no such client session"):
            run("node", "grant.mjs", "00000000-0000-4000-8000-000000000000", folder=project, **environment)
        # A sandbox has no gRPC, but TLS with an authority of its own, and it answers 404 once it is trusted.
        sandbox = subprocess.Popen(
            [self.binary, "sandbox", "--listen=127.0.0.1:0", "--write-ca-file", project / "ca.pem"], stderr=subprocess.PIPE)
        self.addCleanup(lambda: (sandbox.kill(), sandbox.communicate()))
        address = json.loads(sandbox.stderr.readline())["seam"].removeprefix("https://")
        (project / "tls.cjs").write_text(
            'const { connect } = require("@clientsession/stubs");\n'
            'const ca = process.argv[3] && require("node:fs").readFileSync(process.argv[3]);\n'
            'connect(process.argv[2], "key", { ca, plaintext: false }).create({}).catch((e) => console.log(`${e}`));\n')
        self.assertIn("UNIMPLEMENTED: HTTP 404", run("node", "tls.cjs", address, "ca.pem", folder=project))
        self.assertIn("UNAVAILABLE: unable to verify", run("node", "tls.cjs", address, folder=project))

    def test_java(self):
        project = self.project()
        # A local repository of its own, so that the jar is not left in the one of the machine.
        shutil.rmtree(TOOLS / "maven" / "com" / "clientsession", ignore_errors=True)
        maven = ["mvn", "-B", "-q", f"-Dmaven.repo.local={TOOLS / 'maven'}"]
        run(*maven, "org.apache.maven.plugins:maven-install-plugin:3.2.0:install-file", f"-Dfile={DIST / JAR}.jar",
            f"-Dsources={DIST / JAR}-sources.jar", f"-DpomFile={DIST / JAR}.pom", folder=project)
        readme = (REPOSITORY / "gen" / "java" / "README.md").read_text(encoding="utf-8")
        blocks = dict(re.findall(r"^```(\w+)\n(.*?)^```$", readme, re.MULTILINE | re.DOTALL))
        source = "src/main/java/GrantAccess.java"
        self.assertEqual((CLIENTS / "java" / "example" / source).read_text(encoding="utf-8"), blocks["java"])
        (project / source).parent.mkdir(parents=True)
        (project / source).write_text(blocks["java"], encoding="utf-8")
        (project / "pom.xml").write_text(blocks["xml"].replace(">0.1.0<", f">{VERSION}<"), encoding="utf-8")
        for done in "created", "granted":  # The user has no session at first.
            self.assertIn(f"{done}: ", run(
                *maven, "compile", "org.codehaus.mojo:exec-maven-plugin:3.6.3:java", "-Dexec.mainClass=GrantAccess",
                f"-Dexec.args={self.service.grpc_address} java_user {ACCOUNT}", folder=project, SEAM_API_KEY=API_KEY))

    def test_packages_are_reproducible(self):
        before = checksums()
        run("sh", "tools/release/release.sh")
        self.assertEqual(before, checksums())


if __name__ == "__main__":
    try:
        unittest.main(verbosity=2)
    except clients.toolchain.CannotRun as error:
        sys.exit(f"cannot run: {error}")
