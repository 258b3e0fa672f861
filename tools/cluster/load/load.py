"""Makes calls on the gRPC face at a fixed rate, as main.go does: load.py TARGET."""

import asyncio
import json
import sys
import time

import grpc

# Recommended by deploy/chart/README.md.
SERVICE_CONFIG = {
    "loadBalancingConfig": [{"round_robin": {}}],
    "methodConfig": [{
        "name": [{"service": "seam.clientsession.v1.ClientSessionService", "method": "Get"}],
        "retryPolicy": {
            "maxAttempts": 4,
            "initialBackoff": "0.1s",
            "maxBackoff": "1s",
            "backoffMultiplier": 2,
            "retryableStatusCodes": ["UNAVAILABLE"],
        },
    }],
}
GET = "/seam.clientsession.v1.ClientSessionService/Get"
# A GetRequest with the client session that the sandbox has.
REQUEST = b"\x0a\x24" + b"3ada79d3-2848-4320-b2ef-a82e1e6dafac"
METADATA = (("authorization", "Bearer seam_testSand_sandboxsandboxsandboxsan"),)
RATE = 200
CHANNEL_SECONDS = 5


def connect(target: str) -> grpc.aio.Channel:
    return grpc.aio.insecure_channel(target, [
        ("grpc.service_config", json.dumps(SERVICE_CONFIG)),
        ("grpc.keepalive_time_ms", 10_000),
        ("grpc.http2.ping_timeout_ms", 2_000),
        # A channel of its own has connections and look-ups of its own.
        ("grpc.use_local_subchannel_pool", 1),
    ])


class Load:
    def __init__(self, target: str) -> None:
        self.target = target
        self.gets: list[grpc.aio.UnaryUnaryMultiCallable] = []
        self.calls = self.lost = 0

    async def call(self, get: grpc.aio.UnaryUnaryMultiCallable) -> None:
        start = time.monotonic()
        try:
            await get(REQUEST, timeout=10, metadata=METADATA)
        except grpc.aio.AioRpcError as error:
            self.lost += 1
            print(f"lost python after {time.monotonic() - start:.3f}s: {error.code().name} {error.details()}")
        self.calls += 1

    async def run(self) -> None:
        running = set()
        start = time.monotonic()
        for n in range(sys.maxsize):
            if n % (RATE * CHANNEL_SECONDS) == 0:
                self.gets.append(connect(self.target).unary_unary(GET))
            if n % RATE == 0:
                print(f"python {self.calls} {self.lost}")
            task = asyncio.create_task(self.call(self.gets[n % len(self.gets)]))
            running.add(task)
            task.add_done_callback(running.discard)
            await asyncio.sleep(max(0.0, start + n / RATE - time.monotonic()))


asyncio.run(Load(sys.argv[1]).run())
