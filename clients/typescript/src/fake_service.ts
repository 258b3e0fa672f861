// For tests: a service that responds as a test says, and remembers the headers of the calls.
import { ClientSessionService } from "@clientsession/stubs";
import { Code, ConnectError, type HandlerContext } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { once } from "node:events";
import { createServer } from "node:http2";
import type { AddressInfo, Server, Socket } from "node:net";
import type { TestContext } from "node:test";

export interface Attempt {
  at: number;
  headers: Headers;
}

/** Returns how to respond to an attempt, which is counted from 1: with an error, or by returning, with a success. */
export type Respond = (attempt: number, context: HandlerContext) => void | Promise<void>;

/** Starts the service for as long as the test runs, and returns its address and the attempts that it has seen. */
export async function fakeService(test: TestContext, respond: Respond = () => {}) {
  const attempts: Attempt[] = [];
  async function handle(_: unknown, context: HandlerContext) {
    attempts.push({ at: performance.now(), headers: context.requestHeader });
    await respond(attempts.length, context);
    const session = { token: "seam_cst_secret", expiresAt: { seconds: 1n }, additionalMembers: { password: "secret" } };
    return { clientSession: session, clientSessions: [session] };
  }
  const methods = Object.keys(ClientSessionService.method).map((name) => [name, handle]);
  const routes = connectNodeAdapter({
    routes: (router) => router.service(ClientSessionService, Object.fromEntries(methods)),
  });
  return { address: await listen(test, createServer(routes)), attempts };
}

/** Lets a server listen until the test ends, which ends its connections too. */
export async function listen(test: TestContext, server: Server): Promise<string> {
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    sockets.add(socket.on("error", () => {}));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  test.after(() => {
    server.close();
    sockets.forEach((socket) => socket.destroy());
  });
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** UNAVAILABLE as the service sends it, with the pushback that tells a client when to retry. */
export function unavailable(pushback?: string): ConnectError {
  const metadata = pushback === undefined ? {} : { "grpc-retry-pushback-ms": pushback };
  return new ConnectError("Seam is down", Code.Unavailable, metadata);
}
