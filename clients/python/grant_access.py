"""Grants a client session access, and tells all there is to know when that is refused.

    SEAM_API_KEY=seam_... python grant_access.py --session ID --account ID
"""

import argparse
import dataclasses
import json
import os
import sys

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from seam.clientsession.v1 import client_session_service_pb2 as pb
from seam.clientsession.v1 import client_session_service_pb2_grpc as pb_grpc

# A grant that is retried changes nothing, so it may be retried when Seam could not be reached. That does not hold
# for every call: a Create without user_identifier_key makes a session each time. So the policy names its method.
# Nothing but UNAVAILABLE is retried: a rate limit has its own RetryInfo, and other responses stay the same.
SERVICE_CONFIG = {
    "methodConfig": [{
        "name": [{"service": "seam.clientsession.v1.ClientSessionService", "method": "GrantAccess"}],
        "retryPolicy": {
            "maxAttempts": 4,
            "initialBackoff": "0.1s",
            "maxBackoff": "1s",
            "backoffMultiplier": 2,
            "retryableStatusCodes": ["UNAVAILABLE"],
        },
    }],
}


def connect(address: str, tls: bool) -> grpc.Channel:
    """Opens a channel: one for the whole program, since it is safe to share and finds its way back by itself."""
    options = [("grpc.service_config", json.dumps(SERVICE_CONFIG))]
    if tls:
        return grpc.secure_channel(address, grpc.ssl_channel_credentials(), options)
    return grpc.insecure_channel(address, options)


@dataclasses.dataclass
class Failure:
    """What an error says: its code and message, and the details that the service sends along."""

    code: grpc.StatusCode
    message: str
    reason: str = ""
    domain: str = ""
    metadata: dict[str, str] = dataclasses.field(default_factory=dict)
    fields: list[tuple[str, str]] = dataclasses.field(default_factory=list)
    retry_seconds: float | None = None
    request_id: str = ""

    @classmethod
    def of(cls, error: grpc.RpcError) -> "Failure":
        # What a stub raises is a call as well, though grpc's own types do not say so.
        assert isinstance(error, grpc.Call)
        failure = cls(error.code(), error.details() or "")
        # There is no status with details when the response is not the service's: the deadline has passed, or the connection failed.
        status = rpc_status.from_call(error)
        for detail in status.details if status else []:
            info = error_details_pb2.ErrorInfo()
            bad_request = error_details_pb2.BadRequest()
            retry = error_details_pb2.RetryInfo()
            request = error_details_pb2.RequestInfo()
            if detail.Unpack(info):
                failure.reason, failure.domain, failure.metadata = info.reason, info.domain, dict(info.metadata)
            elif detail.Unpack(bad_request):
                failure.fields = [(violation.field, violation.description) for violation in bad_request.field_violations]
            elif detail.Unpack(retry):
                failure.retry_seconds = retry.retry_delay.ToTimedelta().total_seconds()
            elif detail.Unpack(request):
                failure.request_id = request.request_id
        return failure

    def __str__(self) -> str:
        lines = [f"{self.code.name}: {self.message}"]
        if self.reason:
            lines.append(f"  reason: {self.reason} of {self.domain}")
        lines += [f"  {name}: {value}" for name, value in sorted(self.metadata.items())]
        lines += [f"  field {name or '(the request)'}: {violation}" for name, violation in self.fields]
        if self.retry_seconds is not None:
            lines.append(f"  retry in {self.retry_seconds:g} s")
        if self.request_id:
            lines.append(f"  Seam's request id, for its support: {self.request_id}")
        return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--address", default="127.0.0.1:9090", help="host:port of the service (%(default)s)")
    parser.add_argument("--tls", action="store_true", help="connect with TLS")
    parser.add_argument("--session", required=True, help="the client session to grant access to")
    parser.add_argument("--account", action="append", default=[], help="a connected account; may be repeated")
    arguments = parser.parse_args()

    request = pb.GrantAccessRequest(client_session_id=arguments.session, connected_account_ids=arguments.account)
    with connect(arguments.address, arguments.tls) as channel:
        stub = pb_grpc.ClientSessionServiceStub(channel)
        try:
            response = stub.GrantAccess(
                request,
                # The deadline holds for all attempts together. Without one, a call may wait for ever.
                timeout=10,
                metadata=(("authorization", f"Bearer {os.environ.get('SEAM_API_KEY', '')}"),),
            )
        except grpc.RpcError as error:
            print(Failure.of(error), file=sys.stderr)
            return 1
    session = response.client_session
    print(f"client session {session.client_session_id} reaches {session.device_count} devices")
    # A field that can be unset reads as "" then, so ask first.
    if session.HasField("user_identifier_key"):
        print(f"it belongs to {session.user_identifier_key}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
