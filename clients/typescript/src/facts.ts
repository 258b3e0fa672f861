// Puts responses and errors into the words of `expect` in scenarios.json.
import { type ClientSession, ClientSessionError, ClientSessionSchema } from "@clientsession/stubs";
import { type JsonObject, type JsonValue, toJson } from "@bufbuild/protobuf";

/** Returns the fields of the session that are expected; null is a field that is not present. */
export function sessionFacts(session: ClientSession | undefined, expected: JsonValue | undefined): JsonValue {
  if (!session) {
    return null;
  }
  // Implicit presence has no "unset": such fields are always written, and only unset `optional` fields are left out.
  const all = toJson(ClientSessionSchema, session, { useProtoFieldName: true, alwaysEmitImplicit: true }) as JsonObject;
  const facts: JsonObject = {};
  for (const name of Object.keys(expected ?? {})) {
    // A misspelt field would be "not present" and pass.
    if (!ClientSessionSchema.fields.some((field) => field.name === name)) {
      throw new Error(`ClientSession has no field ${name}`);
    }
    facts[name] = all[name] ?? null;
  }
  return facts;
}

/** Returns what an error says. */
export function errorFacts(error: ClientSessionError): JsonObject {
  if (!error.reason) {
    // A client that gives up by itself has no details, and neither has a failure to connect.
    return { message: error.message };
  }
  if (!error.requestId || !error.callId) {
    throw new Error(`an error without its ids: ${error}`);
  }
  return {
    reason: error.reason,
    domain: error.domain,
    type: error.type,
    http_status: String(error.httpStatus),
    fields: error.violations.map(({ field }) => field),
    ...(error.retryDelayMs !== undefined && { retry_delay_seconds: error.retryDelayMs / 1_000 }),
  };
}
