import {
  BadRequestSchema,
  ErrorInfoSchema,
  RequestInfoSchema,
  RetryInfoSchema,
} from "@clientsession/stubs/google/rpc/error_details_pb.js";
import { Code, type ConnectError } from "@connectrpc/connect";

/** Describes a failed call for a person, from the typed details that the service sends with every error. */
export function describeError(error: ConnectError): string {
  const lines = [`${Code[error.code]}: ${error.rawMessage}`];
  for (const info of error.findDetails(ErrorInfoSchema)) {
    // The reason and its domain are what a program should decide by. The message is for people and may change.
    lines.push(`  reason: ${info.reason} (${info.domain})`);
    for (const [key, value] of Object.entries(info.metadata)) {
      lines.push(`  ${key}: ${value}`);
    }
  }
  for (const badRequest of error.findDetails(BadRequestSchema)) {
    for (const violation of badRequest.fieldViolations) {
      // A violation without a field is about the request as a whole.
      lines.push(`  ${violation.field || "the request"}: ${violation.description}`);
    }
  }
  for (const { retryDelay } of error.findDetails(RetryInfoSchema)) {
    if (retryDelay) {
      lines.push(`  retry in ${Number(retryDelay.seconds) + retryDelay.nanos / 1e9} s`);
    }
  }
  for (const { requestId } of error.findDetails(RequestInfoSchema)) {
    lines.push(`  request id, for Seam's support: ${requestId}`);
  }
  return lines.join("\n");
}
