"""Channels to the service, for asyncio."""

from typing import Any

import grpc

from clientsession import channel


def connect(
    address: str, credential: str | None, *, root_certificates: bytes | None = None, plaintext: bool = False,
) -> grpc.aio.Channel:
    """Does what clientsession.connect does, for asyncio."""
    security, options = channel.settings(address, credential, root_certificates, plaintext)
    interceptors = [_Interceptor(credential)]
    if security:
        return grpc.aio.secure_channel(address, security, options, interceptors=interceptors)
    return grpc.aio.insecure_channel(address, options, interceptors=interceptors)


class _Interceptor(grpc.aio.UnaryUnaryClientInterceptor):
    def __init__(self, credential: str | None) -> None:
        self._credential = credential

    async def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        sent = channel.details(client_call_details, self._credential)
        call = await continuation(sent, request)
        try:
            await call
        except grpc.aio.AioRpcError as error:
            raise channel.failure(error, sent) from error
        return call
