import { Health, HealthCheckResponse_ServingStatus } from "@clientsession/stubs/grpc/health/v1/health_pb.js";
import {
  ServerReflection,
  ServerReflectionRequestSchema,
} from "@clientsession/stubs/grpc/reflection/v1/reflection_pb.js";
import {
  ClientSessionError,
  ClientSessionService,
  createTransport,
  GrantAccessRequestSchema,
} from "@clientsession/stubs";
import { create, fromJson, type JsonObject, type JsonValue } from "@bufbuild/protobuf";
import { Code, createClient } from "@connectrpc/connect";
import { isDeepStrictEqual } from "node:util";
import { errorFacts, sessionFacts } from "./facts.js";

/** One entry of scenarios.json. */
export interface Scenario {
  name: string;
  rpc: string;
  fault?: JsonObject;
  metadata?: Record<string, string>;
  deadline_ms?: number;
  request?: JsonObject;
  expect: JsonObject;
}

// So that a service that does not respond fails a scenario and does not stop the run.
const DEADLINE_MS = 10_000;

// Without a credential, since each scenario brings its own.
const transport = createTransport(environment("GRPC_ADDRESS"), undefined);
const sandboxUrl = environment("SANDBOX_URL");

function environment(name: string): string {
  const value = process.env[name];
  if (!value) {
    throw new Error(`${name} is not set`);
  }
  return value;
}

/** Plays one scenario, and returns how the outcome differs from what is expected. */
export async function play(scenario: Scenario): Promise<string[]> {
  try {
    await control("reset");
    if (scenario.fault) {
      await control("faults", scenario.fault);
    }
    const { code, ...expected } = scenario.expect;
    const outcome = await call(scenario, expected);
    // Of a deadline only the code is certain: the client may give up before the service's own response arrives.
    return code === "DEADLINE_EXCEEDED" && outcome["code"] === code
      ? []
      : compare({ code: code ?? null, ...expected }, outcome);
  } catch (error) {
    // The message of a failed fetch says nothing; its cause does.
    return [error instanceof Error && error.cause ? `${error}: ${error.cause}` : String(error)];
  }
}

async function control(route: string, body?: JsonObject): Promise<void> {
  const response = await fetch(`${sandboxUrl}/_sandbox/${route}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    ...(body && { body: JSON.stringify(body) }),
    signal: AbortSignal.timeout(DEADLINE_MS),
  });
  if (!response.ok) {
    throw new Error(`the sandbox refused ${route}: ${response.status} ${await response.text()}`);
  }
}

/** Makes the scenario's call, and returns its outcome in the words of `expect`. */
async function call(scenario: Scenario, expected: JsonObject): Promise<JsonObject> {
  try {
    switch (scenario.rpc) {
      case "GrantAccess":
        return { code: "OK", ...(await grantAccess(scenario, expected)) };
      case "Health":
        return { code: "OK", status: await health() };
      case "Reflection":
        return { code: "OK", services: await listed(expected["services"]) };
      default:
        throw new Error(`this runner does not know the rpc ${scenario.rpc}`);
    }
  } catch (error) {
    if (!(error instanceof ClientSessionError)) {
      throw error;
    }
    return { code: Code[error.code].replace(/(?<=[a-z])(?=[A-Z])/g, "_").toUpperCase(), ...errorFacts(error) };
  }
}

async function grantAccess(scenario: Scenario, expected: JsonObject): Promise<JsonObject> {
  const response = await createClient(ClientSessionService, transport).grantAccess(
    fromJson(GrantAccessRequestSchema, scenario.request ?? {}),
    { headers: scenario.metadata ?? {}, timeoutMs: scenario.deadline_ms ?? DEADLINE_MS },
  );
  return { session: sessionFacts(response.clientSession, expected["session"]) };
}

/** Returns the status of the server as a whole and of the service: one if they are the same, or else both. */
async function health(): Promise<JsonValue> {
  const client = createClient(Health, transport);
  const statuses = new Set<string>();
  for (const service of ["", ClientSessionService.typeName]) {
    const { status } = await client.check({ service }, { timeoutMs: DEADLINE_MS });
    statuses.add(HealthCheckResponse_ServingStatus[status]);
  }
  return [...statuses].join(", ");
}

/** Returns those of the expected services that reflection lists; it may list others. */
async function listed(expected: JsonValue | undefined): Promise<JsonValue> {
  async function* requests() {
    yield create(ServerReflectionRequestSchema, { messageRequest: { case: "listServices", value: "" } });
  }
  const names: string[] = [];
  const client = createClient(ServerReflection, transport);
  for await (const { messageResponse } of client.serverReflectionInfo(requests(), { timeoutMs: DEADLINE_MS })) {
    if (messageResponse.case === "listServicesResponse") {
      names.push(...messageResponse.value.service.map((service) => service.name));
    }
  }
  return Array.isArray(expected) ? expected.filter((name) => names.includes(String(name))) : names;
}

/** Compares both ways: a fact that is not expected, such as a delay before a retry, is a difference too. */
function compare(expected: JsonObject, actual: JsonObject, prefix = ""): string[] {
  return [...new Set([...Object.keys(expected), ...Object.keys(actual)])].flatMap((key) => {
    const [want, got] = [expected[key], actual[key]];
    if (isObject(want) && isObject(got)) {
      return compare(want, got, `${prefix}${key}.`);
    }
    return isDeepStrictEqual(want, got) ? [] : [`${prefix}${key}: expected ${show(want)}, but got ${show(got)}`];
  });
}

function isObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function show(value: JsonValue | undefined): string {
  return value === undefined ? "nothing" : JSON.stringify(value);
}
