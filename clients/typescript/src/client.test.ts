import { ClientSessionError, ClientSessionSchema, connect, Reason } from "@clientsession/stubs";
import {
  BadRequestSchema,
  ErrorInfoSchema,
  RequestInfoSchema,
  RetryInfoSchema,
} from "@clientsession/stubs/google/rpc/error_details_pb.js";
import { create, fromJson, toJson } from "@bufbuild/protobuf";
import { StructSchema, ValueSchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import assert from "node:assert/strict";
import dns from "node:dns";
import * as net from "node:net";
import { describe, it } from "node:test";
import { inspect } from "node:util";
import { fakeService, listen } from "./fake_service.js";

type Details = NonNullable<ConstructorParameters<typeof ConnectError>[3]>;

async function errorOf(call: Promise<unknown>): Promise<ClientSessionError> {
  const error = await call.then(
    () => assert.fail("the call succeeded"),
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof ClientSessionError, `${error}`);
  return error;
}

describe("the error of a call", () => {
  const info = {
    desc: ErrorInfoSchema,
    value: {
      reason: Reason.INVALID_INPUT,
      domain: "connect.getseam.com",
      metadata: { type: "invalid_input", http_status: "400", outcome: "unknown", "x-request-id": "order-17" },
    },
  };
  const none = {
    code: Code.InvalidArgument,
    message: "invalid",
    reason: "",
    domain: "",
    type: "",
    httpStatus: 0,
    violations: [] as object[],
    outcomeUnknown: false,
    retryDelayMs: undefined as unknown,
    requestId: "",
    callId: "of-the-caller",
    data: undefined as unknown,
  };
  const ofInfo = {
    ...none,
    reason: "INVALID_INPUT",
    domain: "connect.getseam.com",
    type: "invalid_input",
    httpStatus: 400,
    outcomeUnknown: true,
    callId: "order-17",
  };
  const rows: { name: string; details: Details; is: typeof none; text: string }[] = [
    { name: "no details", details: [], is: none, text: "INVALID_ARGUMENT: invalid (call id of-the-caller)" },
    {
      name: "all details",
      details: [
        info,
        { desc: BadRequestSchema, value: { fieldViolations: [{ field: "ids", description: "too many" }] } },
        { desc: RetryInfoSchema, value: { retryDelay: { seconds: 1n, nanos: 500_000_000 } } },
        { desc: RequestInfoSchema, value: { requestId: "seam-1" } },
        { desc: StructSchema, value: fromJson(StructSchema, { devices: [1, null] }) },
      ],
      is: {
        ...ofInfo,
        violations: [{ field: "ids", description: "too many" }],
        retryDelayMs: 1_500,
        requestId: "seam-1",
        data: { devices: [1, null] },
      },
      text: "INVALID_INPUT: invalid (request id seam-1, call id order-17)",
    },
    {
      name: "data that is no object",
      details: [info, { desc: ValueSchema, value: fromJson(ValueSchema, ["a"]) }],
      is: { ...ofInfo, data: ["a"] },
      text: "INVALID_INPUT: invalid (call id order-17)",
    },
    {
      name: "details that are empty",
      details: [
        { desc: ErrorInfoSchema, value: {} },
        { desc: RetryInfoSchema, value: {} },
        { desc: ValueSchema, value: {} },
      ],
      is: none,
      text: "INVALID_ARGUMENT: invalid (call id of-the-caller)",
    },
  ];
  for (const { name, details, is, text } of rows) {
    it(name, async (test) => {
      const service = await fakeService(test, () => {
        throw new ConnectError("invalid", Code.InvalidArgument, undefined, details);
      });
      const call = connect(service.address, undefined).create({}, { headers: { "x-request-id": "of-the-caller" } });
      const error = await errorOf(call);
      assert.deepEqual({ ...error, message: error.message }, is);
      assert.equal(String(error), text);
      assert.equal(error.name, "ClientSessionError");
    });
  }

  it("of a code and with details that are malformed", () => {
    const error = new ConnectError("invalid", 99 as Code);
    error.details = [ErrorInfoSchema, StructSchema].map(({ typeName: type }) => ({ type, value: Uint8Array.of(10) }));
    assert.equal(String(ClientSessionError.from(error)), "99: invalid");
  });

  it("of a connection that is refused", async (test) => {
    const server = net.createServer();
    const address = await listen(test, server);
    server.close();
    const client = connect(address, undefined);
    const error = await errorOf(client.create({}));
    assert.match(String(error), /^UNAVAILABLE: connect ECONNREFUSED \S+ \(call id [\da-f-]{36}\)$/);
    assert.equal(error.outcomeUnknown, true);
    assert.equal((await errorOf(client.get({}))).outcomeUnknown, false);
  });

  it("of a call after its deadline", async () => {
    const error = await errorOf(connect("127.0.0.1:1", undefined).create({}, { timeoutMs: -1 }));
    assert.match(String(error), /^DEADLINE_EXCEEDED: the deadline has passed/);
  });
});

describe("a call", () => {
  const rows: { name: string; credential?: string; options?: object; header: string; is: string | null }[] = [
    { name: "has the credential", credential: "k", header: "authorization", is: "Bearer k" },
    { name: "has no credential", header: "authorization", is: null },
    {
      name: "has a credential of its own",
      credential: "k",
      options: { headers: { authorization: "Bearer other" } },
      header: "authorization",
      is: "Bearer other",
    },
    { name: "has a deadline", header: "grpc-timeout", is: "10000m" },
    { name: "has a deadline of its own", options: { timeoutMs: 20_000 }, header: "grpc-timeout", is: "20000m" },
    { name: "has no deadline", options: { timeoutMs: 0 }, header: "grpc-timeout", is: null },
  ];
  for (const { name, credential, options, header, is } of rows) {
    it(name, async (test) => {
      const service = await fakeService(test);
      await connect(service.address, credential).get({}, options);
      assert.equal(service.attempts[0]?.headers.get(header), is);
    });
  }
});

describe("what is plain text", () => {
  const rows: { host: string; listens?: string; options?: object; plain: boolean }[] = [
    { host: "127.0.0.1", plain: true },
    { host: "localhost", plain: true },
    { host: "127.0.0.1", options: { plaintext: false }, plain: false },
    { host: "127.0.0.1", options: { ca: "" }, plain: false },
    // It leads here too, but is not a loopback address.
    { host: "0.0.0.0", plain: false },
    { host: "0.0.0.0", options: { plaintext: true }, plain: true },
  ];
  for (const { host, options, plain } of rows) {
    it(`${host} ${inspect(options)}`, async (test) => {
      const received: Buffer[] = [];
      const server = net.createServer((socket) => {
        socket.once("data", (data: Buffer) => {
          received.push(data);
          socket.destroy();
        });
      });
      const address = await listen(test, server);
      await errorOf(connect(address.replace("127.0.0.1", host), "k", options).create({}));
      // HTTP/2 begins with PRI, and TLS with a record of type 22.
      assert.equal(received[0]?.subarray(0, 3).toString(), plain ? "PRI" : "\x16\x03\x01");
    });
  }

  it("localhost is this machine, whatever the hosts file or DNS has", async (test) => {
    const service = await fakeService(test);
    const elsewhere = test.mock.method(dns, "lookup", () => assert.fail("localhost was looked up"));
    await connect(service.address.replace("127.0.0.1", "localhost"), "k").get({});
    assert.equal(elsewhere.mock.callCount(), 0);
  });

  const refused = ["", "http://127.0.0.1:1", "127.0.0.1:1/path", "user@host:1", "host:port"];
  for (const address of refused) {
    it(`refuses the address ${inspect(address)}`, () => {
      assert.throws(() => connect(address, "k"), TypeError);
    });
  }

  it("refuses a credential that is no header, and does not show it", () => {
    for (const credential of ["", "secret\n", "secret secret"]) {
      assert.throws(
        () => connect("127.0.0.1:1", credential),
        (error) => error instanceof TypeError && !error.message.includes("secret"),
      );
    }
  });
});

describe("a session", () => {
  it("is written without its secrets", async (test) => {
    const service = await fakeService(test);
    const client = connect(service.address, undefined);
    const { clientSession } = await client.get({});
    assert.equal(clientSession?.token, "seam_cst_secret");
    const written = {
      clientSessionId: "",
      workspaceId: "",
      expiresAt: "1970-01-01T00:00:01Z",
      token: "[REDACTED]",
      deviceCount: 0,
      connectWebviewIds: [],
      connectedAccountIds: [],
      userIdentityIds: [],
      additionalMembers: "[REDACTED]",
    };
    assert.deepEqual(JSON.parse(JSON.stringify({ clientSession })).clientSession, written);
    for (const response of [await client.get({}), await client.list({}), await client.getOrCreate({})]) {
      assert.doesNotMatch(inspect(response, { depth: 9 }) + JSON.stringify(response), /secret/);
    }
    // It is a message all the same.
    assert.deepEqual(clientSession, create(ClientSessionSchema, clientSession));
    assert.match(JSON.stringify(toJson(ClientSessionSchema, clientSession)), /"token":"seam_cst_secret"/);
  });
});
