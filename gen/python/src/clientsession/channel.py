"""Channels to the service."""

import ipaddress
import re
import urllib.parse
import uuid
from typing import Any

import grpc

from clientsession.constants import SERVICE_CONFIG
from clientsession.error import Error

DEADLINE = 10.0
"""The seconds that a call may take which sets no timeout."""


def connect(
    address: str, credential: str | None, *, root_certificates: bytes | None = None, plaintext: bool = False,
) -> grpc.Channel:
    """Makes a channel to the service at HOST:PORT: one for the whole program, which reconnects by itself.

    Each call carries the credential as `authorization: Bearer`. With None, the calls bring their own metadata.

    The channel speaks TLS, and trusts the PEM certificates given or else those that grpc trusts. Without certificates it
    speaks plain text to a loopback address, and to another address with `plaintext=True` only.

    A call that sets no timeout has 10 seconds. The stubs raise Error.
    """
    security, options = settings(address, credential, root_certificates, plaintext)
    channel = grpc.secure_channel(address, security, options) if security else grpc.insecure_channel(address, options)
    return grpc.intercept_channel(channel, _Interceptor(credential))


def settings(
    address: str, credential: str | None, root_certificates: bytes | None, plaintext: bool,
) -> tuple[grpc.ChannelCredentials | None, list[tuple[str, Any]]]:
    """The credentials, None for plain text, and the options of a channel."""
    # grpc's own refusal would print the credential.
    if credential is not None and not re.fullmatch("[!-~]+", credential):
        raise ValueError("the credential is empty, or has a space or another character that no credential has")
    options: list[tuple[str, Any]] = [
        ("grpc.service_config", SERVICE_CONFIG),
        # The kernel acknowledges for a server that hangs, so only a ping tells. The service permits one each 5 seconds.
        # grpc.keepalive_timeout_ms has no effect in grpc's core, which waits for a ping's own timeout.
        ("grpc.keepalive_time_ms", 10_000),
        ("grpc.http2.ping_timeout_ms", 2_000),
    ]
    loopback = _is_loopback(address)
    if loopback:
        # Nor may a proxy of the environment see the plain text.
        options.append(("grpc.enable_http_proxy", 0))
    if root_certificates is None and plaintext:
        return None, options
    if root_certificates is None and loopback:
        # Plain text that refuses a connection to another address: localhost may resolve to any.
        return grpc.local_channel_credentials(), options
    return grpc.ssl_channel_credentials(root_certificates), options


def details(call: Any, credential: str | None) -> grpc.aio.ClientCallDetails:
    """The details of a call with a credential, a deadline and an id. What the call sets itself has precedence.

    grpc takes them in place of its own.
    """
    metadata = [*(call.metadata or ())]
    names = {key for key, _ in metadata}
    if credential is not None and "authorization" not in names:
        metadata.append(("authorization", f"Bearer {credential}"))
    if "x-request-id" not in names:
        metadata.append(("x-request-id", str(uuid.uuid4())))
    return grpc.aio.ClientCallDetails(
        call.method, DEADLINE if call.timeout is None else call.timeout, grpc.aio.Metadata(*metadata), call.credentials,
        call.wait_for_ready)


def failure(thrown: grpc.RpcError, call: grpc.aio.ClientCallDetails) -> Error:
    """The error of a call with these details, also if no response of the service has arrived."""
    error = Error.of(thrown)
    error.call_id = error.call_id or str(dict(call.metadata or ())["x-request-id"])
    method = call.method.decode() if isinstance(call.method, bytes) else call.method
    if not error.reason and error.code in _LOST and not method.endswith(("/Get", "/List")):
        error.outcome_unknown = True
    return error


# The codes of an error of the client whose call may nevertheless have reached the service.
_LOST = {
    grpc.StatusCode.CANCELLED, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.INTERNAL, grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.UNKNOWN,
}


def _is_loopback(address: str) -> bool:
    host = urllib.parse.urlsplit(f"//{address}").hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class _Interceptor(grpc.UnaryUnaryClientInterceptor):
    def __init__(self, credential: str | None) -> None:
        self._credential = credential

    def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        sent = details(client_call_details, self._credential)
        return _Call(continuation(sent, request), sent)


class _Call:
    """A call of grpc that raises an Error."""

    def __init__(self, call: Any, sent: grpc.aio.ClientCallDetails) -> None:
        self._call, self._sent = call, sent

    def __getattr__(self, name: str) -> Any:
        return getattr(self._call, name)

    def result(self, timeout: float | None = None) -> Any:
        try:
            return self._call.result(timeout)
        except grpc.RpcError as error:
            raise failure(error, self._sent) from error

    def exception(self, timeout: float | None = None) -> Any:
        found = self._call.exception(timeout)
        return failure(found, self._sent) if isinstance(found, grpc.RpcError) else found
