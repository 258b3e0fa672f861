import { ClientSessionService } from "@clientsession/stubs/seam/clientsession/v1/client_session_service_pb.js";
import { timestampDate } from "@bufbuild/protobuf/wkt";
import { ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { parseArgs } from "node:util";
import { describeError } from "./describe_error.js";
import { retryUnavailable } from "./retry.js";

const { values: flags } = parseArgs({
  options: {
    address: { type: "string", default: "127.0.0.1:9090" },
    tls: { type: "boolean", default: false },
    "timeout-ms": { type: "string", default: "10000" },
    session: { type: "string", default: "3ada79d3-2848-4320-b2ef-a82e1e6dafac" },
    account: { type: "string", multiple: true, default: ["c35ecf64-474a-466a-95a6-7b35cb4c8bb4"] },
  },
});

const timeoutMs = Number(flags["timeout-ms"]);
// From the environment and not from a flag: other users of a machine can read the flags of a process.
const apiKey = process.env["SEAM_API_KEY"];
if (!apiKey || !(timeoutMs > 0)) {
  console.error(apiKey ? "--timeout-ms must be a number over 0" : "SEAM_API_KEY is not set");
  process.exit(2);
}

// One transport for the whole program: it keeps one HTTP/2 connection for all calls, and opens it again when it breaks.
const transport = createGrpcTransport({
  // With https the certificate is checked against the authorities that Node.js knows; NODE_EXTRA_CA_CERTS adds to them.
  baseUrl: `${flags.tls ? "https" : "http"}://${flags.address}`,
  interceptors: [
    // These may be retried: a grant is idempotent, and the others are safe.
    retryUnavailable(
      ClientSessionService.method.grantAccess,
      ClientSessionService.method.get,
      ClientSessionService.method.list,
    ),
  ],
});
const client = createClient(ClientSessionService, transport);

try {
  const { clientSession: session } = await client.grantAccess(
    { clientSessionId: flags.session, connectedAccountIds: flags.account },
    {
      // The deadline. It is sent to the service, which cancels its work when it has passed.
      timeoutMs,
      // The service passes the credential on to Seam. It is set for each call, so one client can act for many.
      headers: { authorization: `Bearer ${apiKey}` },
    },
  );
  // Never print `session.token`: it gives the access that was just granted.
  console.log(`session ${session?.clientSessionId} may use`);
  console.log(`  connected accounts: ${session?.connectedAccountIds.join(", ") || "none"}`);
  console.log(`  Connect Webviews: ${session?.connectWebviewIds.join(", ") || "none"}`);
  // An `optional` field of the contract that is unset is undefined, which is not the same as empty.
  console.log(`  user identity: ${session?.userIdentityId ?? "none"}`);
  if (session?.expiresAt) {
    console.log(`  until ${timestampDate(session.expiresAt).toISOString()}`);
  }
} catch (error) {
  console.error(describeError(ConnectError.from(error)));
  process.exitCode = 1;
}
