import { fromBinary, toJson } from "@bufbuild/protobuf";
import { durationMs, StructSchema, ValueSchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import {
  BadRequestSchema,
  ErrorInfoSchema,
  RequestInfoSchema,
  RetryInfoSchema,
} from "../lib/google/rpc/error_details_pb.js";

/** Returns the name that gRPC gives a code. Connect has the same codes, in the case of a class. */
export function codeName(code) {
  const name = code === Code.Canceled ? "Cancelled" : (Code[code] ?? String(code));
  return name.replace(/(?<=[a-z])(?=[A-Z])/g, "_").toUpperCase();
}

/** The codes of an error of the client whose call may nevertheless have reached the service. */
const LOST = [Code.Canceled, Code.DeadlineExceeded, Code.Internal, Code.Unavailable, Code.Unknown];

export class ClientSessionError extends Error {
  static {
    this.prototype.name = "ClientSessionError";
  }

  /** `callId` is that of the request, for an error without details, and `write` whether the call may change something. */
  constructor(error, callId, write) {
    const [info] = error.findDetails(ErrorInfoSchema);
    const [request] = error.findDetails(RequestInfoSchema);
    // What is of use in an error with details is in the fields below.
    super(error.rawMessage.trimEnd(), info ? {} : { cause: error });
    this.code = error.code;
    this.reason = info?.reason ?? "";
    this.domain = info?.domain ?? "";
    this.type = info?.metadata["type"] ?? "";
    this.httpStatus = Number.parseInt(info?.metadata["http_status"]) || 0;
    this.violations = error
      .findDetails(BadRequestSchema)
      .flatMap((detail) => detail.fieldViolations.map(({ field, description }) => ({ field, description })));
    this.outcomeUnknown =
      info?.metadata["outcome"] === "unknown" || (write && this.reason === "" && LOST.includes(error.code));
    const [retry] = error.findDetails(RetryInfoSchema);
    this.retryDelayMs = retry?.retryDelay && durationMs(retry.retryDelay);
    this.requestId = request?.requestId ?? "";
    this.callId = info?.metadata["x-request-id"] || callId;
    this.data = dataOf(error);
  }

  static from(thrown, callId = "", write = false) {
    return thrown instanceof ClientSessionError ? thrown : new ClientSessionError(ConnectError.from(thrown), callId, write);
  }

  toString() {
    const ids = [this.requestId && `request id ${this.requestId}`, this.callId && `call id ${this.callId}`].filter(Boolean);
    return `${this.reason || codeName(this.code)}: ${this.message}${ids.length > 0 ? ` (${ids.join(", ")})` : ""}`;
  }
}

/** Returns what Seam says in `error.data`, as plain values. */
function dataOf(error) {
  for (const { type, value } of error.details) {
    for (const schema of [StructSchema, ValueSchema]) {
      if (type === schema.typeName) {
        try {
          return toJson(schema, fromBinary(schema, value));
        } catch {
          return undefined; // To read an error never fails.
        }
      }
    }
  }
  return undefined;
}
