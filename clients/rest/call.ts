// Makes the calls that standard input has, one a line, with the client of openapi-typescript and openapi-fetch.
import { createInterface } from "node:readline";
import createClient from "openapi-fetch";
import type { components, paths } from "./generated/schema.js";

interface Call {
  url: string;
  metadata: Record<string, string>;
  request: components["schemas"]["GrantAccessRequest"];
  seconds: number;
}

async function grant({ url, metadata, request, seconds }: Call): Promise<object> {
  const client = createClient<paths>({ baseUrl: url });
  try {
    const { data, error, response } = await client.PATCH("/client_sessions/grant_access", {
      body: request,
      headers: metadata,
      signal: AbortSignal.timeout(seconds * 1000),
    });
    const { status, headers } = response;
    return { status, headers: Object.fromEntries(headers), session: data?.client_session, error: error?.error };
  } catch (thrown) {
    if (thrown instanceof DOMException && thrown.name === "TimeoutError") return { timeout: true };
    throw thrown;
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(await grant(JSON.parse(line) as Call)));
}
