"""Makes calls on the gRPC face at a fixed rate, as main.go does: load.py TARGET."""

import asyncio
import sys
import time
from typing import Any

import clientsession
import grpc
from clientsession.v1 import client_session_service_pb2 as pb
from clientsession.v1 import client_session_service_pb2_grpc as pb_grpc

# The sandbox has these.
METADATA = (("authorization", "Bearer seam_testSand_sandboxsandboxsandboxsan"),)
GET = pb.GetRequest(client_session_id="3ada79d3-2848-4320-b2ef-a82e1e6dafac")
GET_OR_CREATE = pb.GetOrCreateRequest(user_identifier_key="jane_doe")
RATE = 200
CHANNEL_SECONDS = 5


def connect(target: str) -> Any:
    """A channel with the options of the package, and with connections and look-ups of its own."""
    _, options = clientsession.channel.settings(target, None, None, True)
    return pb_grpc.ClientSessionServiceStub(
        grpc.aio.insecure_channel(target, [*options, ("grpc.use_local_subchannel_pool", 1)]))


class Load:
    def __init__(self, target: str) -> None:
        self.target = target
        self.stubs: list[Any] = []
        self.calls = self.lost = 0

    async def call(self, n: int) -> None:
        stub = self.stubs[n // 2 % len(self.stubs)]
        start = time.monotonic()
        try:
            # A call that the client retries, and then one that it does not.
            if n % 2 == 0:
                await stub.Get(GET, timeout=10, metadata=METADATA)
            else:
                await stub.GetOrCreate(GET_OR_CREATE, timeout=10, metadata=METADATA)
        except grpc.aio.AioRpcError as error:
            self.lost += 1
            print(f"lost python after {time.monotonic() - start:.3f}s: {error.code().name} {error.details()}")
        self.calls += 1

    async def run(self) -> None:
        running = set()
        start = time.monotonic()
        for n in range(sys.maxsize):
            if n % (RATE * CHANNEL_SECONDS) == 0:
                self.stubs.append(connect(self.target))
            if n % RATE == 0:
                print(f"python {self.calls} {self.lost}")
            task = asyncio.create_task(self.call(n))
            running.add(task)
            task.add_done_callback(running.discard)
            await asyncio.sleep(max(0.0, start + n / RATE - time.monotonic()))


asyncio.run(Load(sys.argv[1]).run())
