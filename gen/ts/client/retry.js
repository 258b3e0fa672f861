import { setTimeout as sleep } from "node:timers/promises";
import { ConnectError } from "@connectrpc/connect";
import { serviceConfig } from "../lib/constants.js";
import { codeName } from "./error.js";

/**
 * Retries as the service config says: Connect has interceptors in place of service configs.
 *
 * The deadline of a call covers all its attempts. It aborts the signal of the request, and the backoff with it.
 */
export function retry(next) {
  return async (request) => {
    const policy = policyOf(request);
    if (!policy) {
      return next(request);
    }
    const deadline = Date.now() + Number.parseInt(request.header.get("grpc-timeout"));
    let backoff = milliseconds(policy.initialBackoff);
    for (let attempt = 1; ; attempt++) {
      let error;
      try {
        return await next(request);
      } catch (thrown) {
        error = ConnectError.from(thrown);
      }
      const pushback = error.metadata.get("grpc-retry-pushback-ms");
      const retryable = policy.retryableStatusCodes.includes(codeName(error.code));
      // A pushback that is no number of milliseconds, such as -1, forbids to retry.
      if (!retryable || attempt === policy.maxAttempts || (pushback !== null && !/^\d+$/.test(pushback))) {
        throw error;
      }
      let wait = Number(pushback);
      if (pushback === null) {
        // With jitter, so that clients that failed together do not retry together.
        wait = backoff * (0.8 + 0.4 * Math.random());
        backoff = Math.min(backoff * policy.backoffMultiplier, milliseconds(policy.maxBackoff));
      }
      if (deadline - Date.now() <= wait) {
        throw error; // It says more than DEADLINE_EXCEEDED would.
      }
      await sleep(wait, undefined, { signal: request.signal });
      // What a gRPC client says with a further attempt: the service then leaves it to the client to retry.
      request.header.set("grpc-previous-rpc-attempts", String(attempt));
      if (deadline) {
        request.header.set("grpc-timeout", `${Math.max(1, deadline - Date.now())}m`);
      }
    }
  };
}

function policyOf({ service, method }) {
  return serviceConfig.methodConfig.find(({ name }) =>
    name.some((named) => named.service === service.typeName && named.method === method.name),
  )?.retryPolicy;
}

/** Reads a duration of a service config, such as 0.1s. */
function milliseconds(duration) {
  return Number.parseFloat(duration) * 1000;
}
