// Puts responses and errors into the words of `expect` in scenarios.json.
import {
  BadRequestSchema,
  ErrorInfoSchema,
  RequestInfoSchema,
  RetryInfoSchema,
} from "@clientsession/stubs/google/rpc/error_details_pb.js";
import {
  type ClientSession,
  ClientSessionSchema,
} from "@clientsession/stubs/seam/clientsession/v1/client_session_pb.js";
import { type JsonObject, type JsonValue, toJson } from "@bufbuild/protobuf";
import type { ConnectError } from "@connectrpc/connect";

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

/** Returns what the details of an error say. What is wrong whatever is expected is thrown. */
export function errorFacts(error: ConnectError): JsonObject {
  const infos = error.findDetails(ErrorInfoSchema);
  const [info] = infos;
  if (!info) {
    // A client that gives up by itself has no details, and neither has a failure to connect.
    return { message: error.rawMessage };
  }
  if (infos.length > 1) {
    throw new Error(`${infos.length} ErrorInfo in one error`);
  }
  checkRequestId(error);
  const [retry] = error.findDetails(RetryInfoSchema);
  const delay = retry?.retryDelay;
  return {
    reason: info.reason,
    domain: info.domain,
    type: info.metadata["type"] ?? "",
    http_status: info.metadata["http_status"] ?? "",
    fields: error
      .findDetails(BadRequestSchema)
      .flatMap((badRequest) => badRequest.fieldViolations.map((violation) => violation.field)),
    ...(retry && { retry_delay_seconds: delay ? Number(delay.seconds) + delay.nanos / 1e9 : null }),
  };
}

/** The request id must be the one in the header: it is what a caller quotes to Seam's support. */
function checkRequestId(error: ConnectError): void {
  const inDetails = error.findDetails(RequestInfoSchema).map((detail) => detail.requestId);
  const inHeader = error.metadata.get("seam-request-id");
  if (!inHeader || inDetails.length !== 1 || inDetails[0] !== inHeader) {
    throw new Error(`request ids: ${JSON.stringify(inDetails)} in RequestInfo, ${inHeader} in seam-request-id`);
  }
}
