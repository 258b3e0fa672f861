export * from "../lib/seam/clientsession/v1/client_session_pb.js";
export * from "../lib/seam/clientsession/v1/client_session_service_pb.js";
export { Reason, serviceConfig } from "../lib/constants.js";
export { connect, createTransport } from "./connect.js";
export { ClientSessionError } from "./error.js";
export { retry } from "./retry.js";
