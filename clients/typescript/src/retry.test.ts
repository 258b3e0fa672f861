import { ClientSessionError, type ClientSessionService, connect } from "@clientsession/stubs";
import { type Client, Code, ConnectError } from "@connectrpc/connect";
import assert from "node:assert/strict";
import { constants, createServer, type ServerHttp2Stream } from "node:http2";
import * as net from "node:net";
import { describe, it } from "node:test";
import { fakeService, listen, unavailable } from "./fake_service.js";

type Call = (client: Client<typeof ClientSessionService>) => Promise<unknown>;

/** Returns the code that a call fails with, or undefined. */
async function codeOf(call: Promise<unknown>): Promise<Code | undefined> {
  try {
    await call;
    return undefined;
  } catch (error) {
    assert.ok(error instanceof ClientSessionError, `${error}`);
    return error.code;
  }
}

describe("a failed call is retried as the service config says", { concurrency: true }, () => {
  const grant: Call = (client) => client.grantAccess({});
  const rows: { name: string; call?: Call; error: ConnectError; attempts: number }[] = [
    { name: "four attempts", error: unavailable(), attempts: 4 },
    { name: "Get", call: (client) => client.get({}), error: unavailable(), attempts: 4 },
    { name: "List", call: (client) => client.list({}), error: unavailable(), attempts: 4 },
    { name: "Revoke", call: (client) => client.revoke({}), error: unavailable(), attempts: 4 },
    { name: "Create creates another", call: (client) => client.create({}), error: unavailable(), attempts: 1 },
    { name: "GetOrCreate replaces", call: (client) => client.getOrCreate({}), error: unavailable(), attempts: 1 },
    { name: "Delete", call: (client) => client.delete({}), error: unavailable(), attempts: 1 },
    { name: "another code", error: new ConnectError("too many", Code.ResourceExhausted), attempts: 1 },
    { name: "the service canceled it", error: new ConnectError("canceled", Code.Canceled), attempts: 1 },
    { name: "a pushback of -1", error: unavailable("-1"), attempts: 1 },
    { name: "a pushback that is no number", error: unavailable("soon"), attempts: 1 },
    { name: "a pushback of 0", error: unavailable("0"), attempts: 4 },
    {
      name: "a pushback after the deadline",
      call: (client) => client.grantAccess({}, { timeoutMs: 2_000 }),
      error: unavailable("5000"),
      attempts: 1,
    },
  ];
  for (const { name, call = grant, error, attempts } of rows) {
    it(name, async (test) => {
      const service = await fakeService(test, () => {
        throw error;
      });
      assert.equal(await codeOf(call(connect(service.address, undefined))), error.code);
      assert.equal(service.attempts.length, attempts);
    });
  }

  it("tells the service which attempt it is, and how much of the deadline is left", async (test) => {
    const service = await fakeService(test, (attempt) => {
      if (attempt < 3) {
        throw unavailable("20");
      }
    });
    assert.equal(await codeOf(connect(service.address, undefined).grantAccess({})), undefined);
    const header = (name: string) => service.attempts.map(({ headers }) => headers.get(name));
    assert.deepEqual(header("grpc-previous-rpc-attempts"), [null, "1", "2"]);
    const timeouts = header("grpc-timeout").map((value) => Number.parseInt(value ?? ""));
    assert.equal(timeouts[0], 10_000);
    assert.ok(timeouts[1]! <= 9_980 && timeouts[2]! <= 9_960, `${timeouts}`);
    assert.equal(new Set(header("x-request-id")).size, 1);
  });

  it("ends at the deadline of the call, which covers all attempts", async (test) => {
    const service = await fakeService(test, async (attempt, { signal }) => {
      if (attempt === 1) {
        throw unavailable("50");
      }
      await new Promise((resolve) => signal.addEventListener("abort", resolve));
    });
    const started = performance.now();
    const call = connect(service.address, undefined).get({}, { timeoutMs: 2_000 });
    assert.equal(await codeOf(call), Code.DeadlineExceeded);
    assert.ok(performance.now() - started >= 1_990);
    assert.equal(service.attempts.length, 2);
  });

  it("ends a wait when the caller cancels the call", async (test) => {
    const canceled = new AbortController();
    const service = await fakeService(test, () => {
      setTimeout(() => canceled.abort(), 1_000);
      throw unavailable("9000");
    });
    const started = performance.now();
    const client = connect(service.address, undefined);
    assert.equal(await codeOf(client.get({}, { signal: canceled.signal })), Code.Canceled);
    assert.ok(performance.now() - started < 5_000);
    assert.equal(service.attempts.length, 1);
  });

  it("ends when the caller cancels the call", async (test) => {
    const canceled = new AbortController();
    const service = await fakeService(test, async (_, { signal }) => {
      canceled.abort();
      await new Promise((resolve) => signal.addEventListener("abort", resolve));
    });
    const client = connect(service.address, undefined);
    assert.equal(await codeOf(client.create({}, { signal: canceled.signal })), Code.Canceled);
  });

  type End = (stream: ServerHttp2Stream) => void;
  const ends: { name: string; end: End; call?: Call; code: Code; attempts: number }[] = [
    {
      name: "a connection that is lost",
      end: ({ session }) => session?.destroy(),
      code: Code.Unavailable,
      attempts: 4,
    },
    {
      name: "a connection that Create has lost",
      end: ({ session }) => session?.destroy(),
      call: (client) => client.create({}),
      code: Code.Unavailable,
      attempts: 1,
    },
    {
      name: "a stream that is refused",
      end: (stream) => stream.close(constants.NGHTTP2_REFUSED_STREAM),
      code: Code.Unavailable,
      attempts: 4,
    },
    {
      name: "a stream that fails",
      end: (stream) => stream.close(constants.NGHTTP2_INTERNAL_ERROR),
      code: Code.Internal,
      attempts: 1,
    },
  ];
  for (const { name, end, call = grant, code, attempts } of ends) {
    it(name, async (test) => {
      let streams = 0;
      const server = createServer().on("stream", (stream) => {
        streams++;
        end(stream.on("error", () => {}));
      });
      assert.equal(await codeOf(call(connect(await listen(test, server), undefined))), code);
      assert.equal(streams, attempts);
    });
  }

  it("leaves a replica that is frozen", async (test) => {
    const service = await fakeService(test);
    const replica = Number(service.address.split(":")[1]);
    let connections = 0;
    const balancer = net.createServer((socket) => {
      if (++connections > 1) {
        socket.pipe(net.connect(replica, "127.0.0.1").on("error", () => {})).pipe(socket);
      }
    });
    const started = performance.now();
    const client = connect(await listen(test, balancer), undefined);
    assert.equal(await codeOf(client.get({}, { timeoutMs: 60_000 })), undefined);
    assert.equal(connections, 2);
    // A ping after 10 seconds is not answered within 2.
    const elapsed = performance.now() - started;
    assert.ok(elapsed >= 11_900 && elapsed < 20_000, `${elapsed}`);
  });
});

// By itself, since it changes Math.random.
it("waits longer each time, with jitter", async (test) => {
  const service = await fakeService(test, () => {
    throw unavailable();
  });
  test.mock.method(Math, "random", () => 1);
  await codeOf(connect(service.address, undefined).grantAccess({}));
  const waits = service.attempts.slice(1).map(({ at }, i) => at - service.attempts[i]!.at);
  // A timer may fire a millisecond early.
  assert.ok(waits[0]! >= 119 && waits[1]! >= 239 && waits[2]! >= 479, `${waits}`);
});
