import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";
import type { DescMethod } from "@bufbuild/protobuf";
import { setTimeout as sleep } from "node:timers/promises";

const ATTEMPTS = 4;
const FIRST_BACKOFF_MS = 100;
const MAX_BACKOFF_MS = 2_000;

/**
 * Retries calls of the given methods that fail with UNAVAILABLE.
 *
 * Other gRPC libraries take a retry policy from a service config; Connect has none, and an interceptor is its way.
 * Only UNAVAILABLE is retried: with other codes the same call would fail again, or, with RESOURCE_EXHAUSTED, should not be
 * retried at once. UNAVAILABLE does not say whether the call was applied, so pass only safe or idempotent methods. The
 * server's pushback in a trailer is how long to wait, or, if negative, means not to retry. The deadline covers all attempts together: it aborts `request.signal`, and the wait with it.
 */
export function retryUnavailable(...methods: DescMethod[]): Interceptor {
  return (next) => async (request) => {
    if (request.stream || !methods.includes(request.method)) {
      return next(request);
    }
    for (let attempt = 1; ; attempt++) {
      // Exponential backoff with jitter, so that clients that failed together do not retry together.
      let wait = Math.min(FIRST_BACKOFF_MS * 2 ** (attempt - 1), MAX_BACKOFF_MS) * (0.5 + Math.random() / 2);
      try {
        return await next(request);
      } catch (error) {
        const { code, metadata } = ConnectError.from(error);
        const pushback = metadata.get("grpc-retry-pushback-ms");
        wait = pushback === null ? wait : Number(pushback);
        if (attempt === ATTEMPTS || code !== Code.Unavailable || !(wait >= 0)) {
          throw error;
        }
      }
      await sleep(wait, undefined, { signal: request.signal });
    }
  };
}
