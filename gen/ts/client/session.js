import { inspect } from "node:util";
import { isFieldSet, toJson } from "@bufbuild/protobuf";
import { ClientSessionSchema } from "../lib/seam/clientsession/v1/client_session_pb.js";

const SECRETS = ClientSessionSchema.fields.filter((field) => field.proto.options?.debugRedact);

/** Lets JSON.stringify and console.log write the sessions of a response, without what the contract has as secret. */
export function redact({ clientSession, clientSessions = [clientSession] }) {
  for (const session of clientSessions) {
    if (session) {
      // The properties are not enumerable, so a session stays a message as any other.
      Object.defineProperties(session, { toJSON: { value: toJSON }, [inspect.custom]: { value: toJSON } });
    }
  }
}

function toJSON() {
  const json = toJson(ClientSessionSchema, this, { alwaysEmitImplicit: true });
  for (const field of SECRETS.filter((secret) => isFieldSet(this, secret))) {
    json[field.jsonName] = "[REDACTED]";
  }
  return json;
}
