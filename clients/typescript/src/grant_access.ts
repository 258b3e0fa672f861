// Creates a client session, and grants it, or the session that is named, access to a connected account.
import { ClientSessionError, connect, Reason } from "@clientsession/stubs";

const [address = "127.0.0.1:9090", session] = process.argv.slice(2);
const client = connect(address, process.env["SEAM_API_KEY"]);
try {
  const id = session ?? (await client.create({ userIdentifierKey: "jane_doe" })).clientSession?.clientSessionId;
  const { clientSession } = await client.grantAccess(
    { clientSessionId: id!, connectedAccountIds: ["c35ecf64-474a-466a-95a6-7b35cb4c8bb4"] },
    { timeoutMs: 2_000 },
  );
  console.log(`session ${clientSession?.clientSessionId} may use ${clientSession?.connectedAccountIds.join(", ")}`);
} catch (error) {
  if (!(error instanceof ClientSessionError)) {
    throw error;
  }
  if (error.reason === Reason.CLIENT_SESSION_NOT_FOUND) {
    console.error(`there is no session ${session}`);
  } else {
    console.error(String(error), { outcomeUnknown: error.outcomeUnknown });
  }
  process.exitCode = 1;
}
