import type { JsonValue } from "@bufbuild/protobuf";
import type { Client, Code, Interceptor, Transport } from "@connectrpc/connect";
import type { ClientSessionService } from "../lib/seam/clientsession/v1/client_session_service_pb.js";

export * from "../lib/seam/clientsession/v1/client_session_pb.js";
export * from "../lib/seam/clientsession/v1/client_session_service_pb.js";
export { Reason, serviceConfig } from "../lib/constants.js";

export interface ConnectOptions {
  /** The certificates of the authorities, as PEM. Without it they are those that Node.js knows. */
  readonly ca?: string | Uint8Array | undefined;
  /** Whether to connect without TLS. Without it only a loopback address without `ca` is connected to in plain text. */
  readonly plaintext?: boolean | undefined;
}

/**
 * Returns a client of the service, which is to be shared by the whole program: it connects at the first call, and again
 * whenever it has lost the connection.
 *
 * Each call has the credential as its bearer token, unless it sets its own header `authorization`; a deadline of 10
 * seconds, unless it sets `timeoutMs` (0 is none); and the retries of `retry`. It fails with a ClientSessionError.
 *
 * @param address HOST:PORT
 * @param credential an API key or another bearer token; undefined for calls without one
 */
export declare function connect(
  address: string,
  credential: string | undefined,
  options?: ConnectOptions,
): Client<typeof ClientSessionService>;

/** Returns what `connect` makes its client of, for clients of other services, such as health. */
export declare function createTransport(
  address: string,
  credential: string | undefined,
  options?: ConnectOptions,
): Transport;

/** Retries as the recommended service config says. `connect` uses it. */
export declare const retry: Interceptor;

/** The error of a call. Without details, as of a deadline or a refused connection, a text is empty and a number 0. */
export declare class ClientSessionError extends Error {
  /** The error of a call through another transport, from what the call has thrown. */
  static from(thrown: unknown, callId?: string): ClientSessionError;

  /** The code of gRPC. */
  readonly code: Code;
  /** What to decide by: one of `Reason`, or another. */
  readonly reason: string;
  /** Who refused: `connect.getseam.com` or `client-session-service`. */
  readonly domain: string;
  /** Seam's type of the error. */
  readonly type: string;
  /** The status of HTTP that the REST face responds with. */
  readonly httpStatus: number;
  /** What is invalid. A violation without a field is about the whole request. */
  readonly violations: readonly { readonly field: string; readonly description: string }[];
  /** Whether the call may have been applied although it failed, also because no response of the service arrived. */
  readonly outcomeUnknown: boolean;
  /** How long to wait before another try, in milliseconds. */
  readonly retryDelayMs: number | undefined;
  /** Seam's id of the request, for Seam's support. If Seam has not responded, it is the call id. */
  readonly requestId: string;
  /** The id of the call in the log of the service. */
  readonly callId: string;
  /** What Seam says in `error.data`. */
  readonly data: JsonValue | undefined;

  /** The message is Seam's, for people. The text has the reason and the ids as well. */
  toString(): string;

  private constructor();
}
