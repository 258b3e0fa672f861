import { randomUUID } from "node:crypto";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { ClientSessionService } from "../lib/seam/clientsession/v1/client_session_service_pb.js";
import { ClientSessionError } from "./error.js";
import { retry } from "./retry.js";
import { redact } from "./session.js";

const DEFAULT_TIMEOUT_MS = 10_000;

export function connect(address, credential, options) {
  return createClient(ClientSessionService, createTransport(address, credential, options));
}

export function createTransport(address, credential, { ca, plaintext } = {}) {
  if (!/^(\[[\da-f:.]+\]|[\w.-]+)(:\d+)?$/i.test(address)) {
    throw new TypeError(`the address is not HOST:PORT: ${address}`);
  }
  // Headers would refuse it too, but name it in the message.
  if (credential !== undefined && !/^[\x21-\x7e]+$/.test(credential)) {
    throw new TypeError("the credential is empty, or has characters that a header may not have");
  }
  const { hostname } = new URL(`http://${address}`);
  const plain = plaintext ?? (ca === undefined && /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(hostname));
  const transport = createGrpcTransport({
    baseUrl: `${plain ? "http" : "https"}://${address}`,
    interceptors: [retry, unavailable],
    pingIntervalMs: 10_000,
    pingTimeoutMs: 2_000,
    nodeOptions: {
      ...(ca !== undefined && { ca }),
      ...(plain && plaintext === undefined && { lookup: lookupLoopback }),
    },
  });

  /** The headers of a call, to which those that the call does not set are added. */
  function headersOf(init) {
    const headers = new Headers(init);
    if (credential !== undefined && !headers.has("authorization")) {
      headers.set("authorization", `Bearer ${credential}`);
    }
    if (!headers.has("x-request-id")) {
      headers.set("x-request-id", randomUUID());
    }
    return headers;
  }

  return {
    async unary(method, signal, timeoutMs = DEFAULT_TIMEOUT_MS, init, message, contextValues) {
      const headers = headersOf(init);
      try {
        if (timeoutMs < 0) {
          // To Connect that would be no deadline: what is left of one for several calls may be used up.
          throw new ConnectError("the deadline has passed before the call", Code.DeadlineExceeded);
        }
        const response = await transport.unary(method, signal, timeoutMs, headers, message, contextValues);
        redact(response.message);
        return response;
      } catch (error) {
        throw ClientSessionError.from(error, headers.get("x-request-id"), isWrite(method));
      }
    },
    // Streams, of health and reflection, may last: they have the deadline that the caller sets.
    stream(method, signal, timeoutMs, init, messages, contextValues) {
      return transport.stream(method, signal, timeoutMs, headersOf(init), messages, contextValues);
    },
  };
}

function isWrite(method) {
  return method !== ClientSessionService.method.get && method !== ClientSessionService.method.list;
}

/** Resolves localhost to loopback, as RFC 6761 has it: the hosts file and DNS may have another address. */
function lookupLoopback(_, { all, family }, callback) {
  const addresses = [{ address: "127.0.0.1", family: 4 }, { address: "::1", family: 6 }];
  const found = addresses.filter((one) => !family || one.family === family);
  return all ? callback(null, found) : callback(null, found[0].address, found[0].family);
}

/**
 * Gives the errors of a connection the code that they have in gRPC, UNAVAILABLE. To Connect a lost connection is a
 * canceled stream, and many a connection that cannot be made is INTERNAL.
 */
function unavailable(next) {
  return async (request) => {
    try {
      return await next(request);
    } catch (thrown) {
      const error = ConnectError.from(thrown);
      if (error.metadata.has("grpc-status") || !isOfConnection(error)) {
        throw error;
      }
      const message = error.code === Code.Canceled ? "the connection to the service was lost" : error.rawMessage;
      throw new ConnectError(message, Code.Unavailable, undefined, undefined, error.cause ?? error);
    }
  };
}

function isOfConnection({ code, cause, rawMessage }) {
  // Of a stream that the other end resets, only a refusal says that the call may be sent again.
  const reset = cause?.code === "ERR_HTTP2_STREAM_ERROR" && !rawMessage.endsWith("NGHTTP2_REFUSED_STREAM");
  return code === Code.Canceled || (typeof cause?.code === "string" && !reset);
}
