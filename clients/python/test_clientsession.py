"""What the package does beyond its stubs, against a server that answers as each test says."""

import asyncio
import concurrent.futures
import datetime
import os
import pathlib
import pickle
import socket
import subprocess
import tempfile
import unittest
import unittest.mock
from collections.abc import Callable
from typing import Any

import grpc
from google.protobuf import any_pb2, duration_pb2, message, struct_pb2
from google.rpc import error_details_pb2, status_pb2

import clientsession
from clientsession.v1 import client_session_service_pb2 as pb
from clientsession.v1 import client_session_service_pb2_grpc as pb_grpc

KEY = "seam_key"
UUID = "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"


class Service(pb_grpc.ClientSessionServiceServicer):
    """Answers each call with the next of `errors`, and with a success when there is none left."""

    def __init__(self) -> None:
        self.errors: list[tuple[grpc.StatusCode, bytes]] = []
        self.credentials: list[Any] = []
        self.call_ids: list[Any] = []
        self.seconds: list[float] = []

    def Create(self, request: Any, context: Any) -> pb.CreateResponse:
        self.answer(context)
        return pb.CreateResponse()

    def GrantAccess(self, request: Any, context: Any) -> pb.GrantAccessResponse:
        self.answer(context)
        return pb.GrantAccessResponse()

    # The tests call no others, but types want all.
    Delete = Get = GetOrCreate = List = Revoke = GrantAccess  # type: ignore[assignment]

    def answer(self, context: Any) -> None:
        metadata = dict(context.invocation_metadata())
        credentials = [value for key, value in context.invocation_metadata() if key == "authorization"]
        self.credentials.append(",".join(credentials) or None)
        self.call_ids.append(metadata.get("x-request-id"))
        self.seconds.append(context.time_remaining())
        if self.errors:
            code, details = self.errors.pop(0)
            context.set_trailing_metadata((("grpc-status-details-bin", details),))
            context.abort(code, "what is wrong")


def method(channel: Any, rpc: str) -> Any:
    return getattr(pb_grpc.ClientSessionServiceStub(channel), rpc)


def blocking(rpc: str, timeout: float | None, *arguments: Any, **options: Any) -> Any:
    with clientsession.connect(*arguments, **options) as channel:
        return method(channel, rpc)(getattr(pb, f"{rpc}Request")(), timeout=timeout)


def future(rpc: str, timeout: float | None, *arguments: Any, **options: Any) -> Any:
    with clientsession.connect(*arguments, **options) as channel:
        call = method(channel, rpc).future(getattr(pb, f"{rpc}Request")(), timeout=timeout)
        if error := call.exception():
            assert isinstance(error, clientsession.Error), error
        return call.result()


def asynchronous(rpc: str, timeout: float | None, *arguments: Any, **options: Any) -> Any:
    async def call() -> Any:
        async with clientsession.aio.connect(*arguments, **options) as channel:
            return await method(channel, rpc)(getattr(pb, f"{rpc}Request")(), timeout=timeout)
    return asyncio.run(call())


# Each promise has to hold for each way to make a call.
WAYS = [blocking, future, asynchronous]


def status(*details: message.Message) -> bytes:
    packed = status_pb2.Status(code=5, message="what is wrong")
    for detail in details:
        if isinstance(detail, any_pb2.Any):
            packed.details.append(detail)
        else:
            packed.details.add().Pack(detail)
    return packed.SerializeToString()


INFO = error_details_pb2.ErrorInfo(
    reason="CLIENT_SESSION_NOT_FOUND", domain="connect.getseam.com", metadata={
        "type": "client_session_not_found", "http_status": "404", "x-request-id": "call", "outcome": "unknown"})
REQUEST = error_details_pb2.RequestInfo(request_id="request")
NOT_A_NUMBER = struct_pb2.Struct(fields={"a": struct_pb2.Value(number_value=float("nan"))})
OBJECT = struct_pb2.Struct()
OBJECT.update({"a": [1, None, "b"]})
NO_MESSAGE = any_pb2.Any(type_url="type.googleapis.com/google.rpc.BadRequest", value=b"\xff")

TEXT = "CLIENT_SESSION_NOT_FOUND: what is wrong (request id request, call id call)"
NOT_FOUND: dict[str, Any] = {
    "code": grpc.StatusCode.NOT_FOUND, "message": "what is wrong",
    "reason": clientsession.Reason.CLIENT_SESSION_NOT_FOUND, "domain": "connect.getseam.com",
    "type": "client_session_not_found", "http_status": 404, "violations": [], "outcome_unknown": True,
    "retry_delay": None, "request_id": "request", "call_id": "call", "data": None,
}
# An error without a call id of the service has the one that the client sent.
OWN = "{call id of the client}"
BARE: dict[str, Any] = {
    "code": grpc.StatusCode.NOT_FOUND, "message": "what is wrong", "reason": "", "domain": "", "type": "",
    "http_status": 0, "violations": [], "outcome_unknown": False, "retry_delay": None, "request_id": "", "call_id": OWN, "data": None,
}

# The details that a server sends, the text of the error, and its fields.
ERRORS: dict[str, tuple[bytes, str, dict[str, Any]]] = {
    "all details": (
        status(
            INFO, REQUEST, error_details_pb2.RetryInfo(retry_delay=duration_pb2.Duration(seconds=1, nanos=500_000_000)),
            error_details_pb2.BadRequest(field_violations=[{"field": "user_identifier_key", "description": "is empty"}]),
            OBJECT),
        TEXT, NOT_FOUND | {
            "retry_delay": datetime.timedelta(seconds=1.5), "violations": [("user_identifier_key", "is empty")],
            "data": {"a": [1, None, "b"]}}),
    "data that is no object": (
        status(INFO, REQUEST, struct_pb2.Value(string_value="b")), TEXT, NOT_FOUND | {"data": "b"}),
    "no details": (status(), f"NOT_FOUND: what is wrong (call id {OWN})", BARE),
    "no status": (b"\xff", f"NOT_FOUND: what is wrong (call id {OWN})", BARE),
    "a status of another code": (
        status_pb2.Status(code=3).SerializeToString(), f"NOT_FOUND: what is wrong (call id {OWN})", BARE),
    "details that cannot be read": (
        status(
            NO_MESSAGE, NOT_A_NUMBER, error_details_pb2.RetryInfo(retry_delay=duration_pb2.Duration(seconds=2**62)),
            error_details_pb2.ErrorInfo(reason="A", metadata={"http_status": "none"}), REQUEST),
        f"A: what is wrong (request id request, call id {OWN})", BARE | {"reason": "A", "request_id": "request"}),
}


class Test(unittest.TestCase):
    certificate: bytes
    key: bytes

    @classmethod
    def setUpClass(cls) -> None:
        folder = pathlib.Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        root = subprocess.run(["go", "env", "GOROOT"], check=True, capture_output=True, text=True).stdout.strip()
        subprocess.run(
            ["go", "run", f"{root}/src/crypto/tls/generate_cert.go", "--ecdsa-curve=P256", "--host=localhost"],
            cwd=folder, check=True, capture_output=True)
        cls.certificate, cls.key = (folder / "cert.pem").read_bytes(), (folder / "key.pem").read_bytes()

    def setUp(self) -> None:
        self.service = Service()
        server = grpc.server(self.enterContext(concurrent.futures.ThreadPoolExecutor()))
        pb_grpc.add_ClientSessionServiceServicer_to_server(self.service, server)
        self.port = server.add_insecure_port("127.0.0.1:0")
        self.tls_port = server.add_secure_port(
            "127.0.0.1:0", grpc.ssl_server_credentials([(self.key, self.certificate)]))
        self.address = f"127.0.0.1:{self.port}"
        self.socket = f"unix:{self.enterContext(tempfile.TemporaryDirectory())}/socket"
        server.add_insecure_port(self.socket)
        server.start()
        self.addCleanup(lambda: server.stop(None).wait())

    def error(self, way: Callable[..., Any], *arguments: Any, **options: Any) -> clientsession.Error:
        with self.assertRaises(clientsession.Error) as caught:
            way(*arguments, **options)
        return caught.exception

    def test_error(self) -> None:
        for name, (details, text, fields) in ERRORS.items():
            for way in WAYS:
                with self.subTest(name, way=way.__name__):
                    self.service.errors = [(grpc.StatusCode.NOT_FOUND, details)]
                    error = self.error(way, "GrantAccess", None, self.address, KEY)
                    self.assertIsInstance(error.__cause__, grpc.RpcError)
                    sent = self.service.call_ids[-1]
                    self.assertRegex(sent, UUID)
                    wanted = fields | {"call_id": fields["call_id"].replace(OWN, sent)}
                    for found in error, pickle.loads(pickle.dumps(error)):
                        self.assertEqual(wanted, vars(found))
                        self.assertEqual(text.replace(OWN, sent), str(found))
                    self.assertNotIn("data", repr(error))

    def test_error_of_the_client_itself(self) -> None:
        with socket.socket() as silent:
            silent.bind(("127.0.0.1", 0))
            refused = f"127.0.0.1:{silent.getsockname()[1]}"
            for way in WAYS:
                with self.subTest(way.__name__):
                    error = self.error(way, "Create", None, refused, KEY)
                    self.assertEqual((grpc.StatusCode.UNAVAILABLE, ""), (error.code, error.reason))
                    self.assertTrue(error.outcome_unknown)
                    self.assertRegex(str(error), f"^UNAVAILABLE: .*refused.* \\(call id {UUID}\\)$")
            silent.listen()
            for way in WAYS:
                with self.subTest(way.__name__):
                    self.assertFalse(self.error(way, "Get", 0.1, refused, KEY).outcome_unknown)
                    error = self.error(way, "Create", 0.1, refused, KEY)
                    self.assertTrue(error.outcome_unknown)
                    self.assertEqual((grpc.StatusCode.DEADLINE_EXCEEDED, ""), (error.code, error.reason))
                    self.assertRegex(str(error), f"^DEADLINE_EXCEEDED: .* \\(call id {UUID}\\)$")

    def test_metadata_of_the_call(self) -> None:
        own = (("x-request-id", "order-17"), ("authorization", "Bearer another"))
        with clientsession.connect(self.address, KEY) as channel:
            method(channel, "Create")(pb.CreateRequest(), metadata=own)
        self.assertEqual((["order-17"], ["Bearer another"]), (self.service.call_ids, self.service.credentials))

    def test_retries(self) -> None:
        for way in WAYS:
            for rpc, calls in ("GrantAccess", 3), ("Create", 1):
                with self.subTest(rpc, way=way.__name__):
                    self.service.errors, self.service.seconds = [(grpc.StatusCode.UNAVAILABLE, b"")] * 2, []
                    if calls > 1:
                        way(rpc, None, self.address, KEY)
                    else:
                        self.error(way, rpc, None, self.address, KEY)
                    self.assertEqual(calls, len(self.service.seconds))

    def test_deadline_and_credential(self) -> None:
        for way in WAYS:
            for credential, sent in (KEY, f"Bearer {KEY}"), (None, None):
                for timeout, least, most in (None, 8, 10.5), (30, 28, 30.5):
                    with self.subTest(way=way.__name__, timeout=timeout, credential=credential):
                        way("Create", timeout, self.address, credential)
                        self.assertEqual(sent, self.service.credentials[-1])
                        self.assertTrue(least < self.service.seconds[-1] <= most, self.service.seconds[-1])

    def test_credential_that_no_header_can_carry(self) -> None:
        for credential in "", "se cret", "secret\n", "secrét":
            for connect in clientsession.connect, clientsession.aio.connect:
                with self.subTest(credential), self.assertRaises(ValueError) as caught:
                    connect(self.address, credential)
                self.assertNotIn("secr", str(caught.exception))

    def test_plain_text(self) -> None:
        """0.0.0.0 leads to the server as well, but is no loopback address."""
        environment = {"grpc_proxy": "http://127.0.0.1:9", "no_grpc_proxy": "0.0.0.0"}
        self.enterContext(unittest.mock.patch.dict(os.environ, environment))
        for way in WAYS:
            for host in "127.0.0.1", "localhost":
                with self.subTest(host, way=way.__name__):
                    way("Create", None, f"{host}:{self.port}", KEY)
            with self.subTest("0.0.0.0", way=way.__name__):
                self.service.seconds = []
                error = self.error(way, "Create", None, f"0.0.0.0:{self.port}", KEY)
                self.assertEqual((grpc.StatusCode.UNAVAILABLE, []), (error.code, self.service.seconds))
                way("Create", None, f"0.0.0.0:{self.port}", KEY, plaintext=True)

    def test_localhost_elsewhere(self) -> None:
        """A name of loopback that leads to another address. No test has another machine, so it is a Unix socket."""
        for way in WAYS:
            with self.subTest(way.__name__):
                way("Create", None, self.socket, KEY, plaintext=True)
                self.service.credentials = []
                with unittest.mock.patch.object(clientsession.channel, "_is_loopback", return_value=True):
                    error = self.error(way, "Create", None, self.socket, KEY)
                self.assertEqual((grpc.StatusCode.UNAVAILABLE, []), (error.code, self.service.credentials))

    def test_tls(self) -> None:
        for way in WAYS:
            with self.subTest(way.__name__):
                way("Create", None, f"localhost:{self.tls_port}", KEY, root_certificates=self.certificate)
                self.assertEqual(f"Bearer {KEY}", self.service.credentials[-1])

    def test_keepalive(self) -> None:
        """A server that hangs, but whose kernel acknowledges: the channel leaves it after 12 seconds."""
        with socket.create_server(("127.0.0.1", 0)) as hanging, concurrent.futures.ThreadPoolExecutor() as pool:
            call = pool.submit(blocking, "Create", 20, f"127.0.0.1:{hanging.getsockname()[1]}", KEY)
            connection, _ = hanging.accept()
            with connection:
                connection.sendall(b"\0\0\0\4\0\0\0\0\0")  # The SETTINGS frame, with which a server greets.
                error = call.exception()
        assert isinstance(error, clientsession.Error)
        self.assertEqual(grpc.StatusCode.UNAVAILABLE, error.code)


if __name__ == "__main__":
    unittest.main()
