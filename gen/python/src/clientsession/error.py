"""The error of a call."""

import contextlib
import dataclasses
import datetime
from collections.abc import Iterable
from typing import Any, NamedTuple

import grpc
from google.protobuf import any_pb2, json_format, message, struct_pb2
from google.rpc import error_details_pb2, status_pb2


class Violation(NamedTuple):
    """What is wrong with a field of the request. The field is empty where it is the request as a whole."""

    field: str
    description: str


@dataclasses.dataclass(eq=False)
class Error(Exception):
    """The error of a call, which the stubs of a channel of `connect` raise. Its cause is grpc's own error.

    An error that the service did not send, such as that of a passed deadline or a refused connection, has a code, a
    message and the call id only.
    """

    code: grpc.StatusCode
    message: str
    """For people. Programs decide by the reason."""
    reason: str = ""
    """One of Reason, or another."""
    domain: str = ""
    """connect.getseam.com, or client-session-service for the errors of the service itself."""
    type: str = ""
    """Seam's error type."""
    http_status: int = 0
    violations: list[Violation] = dataclasses.field(default_factory=list)
    outcome_unknown: bool = False
    """Whether a write failed and may have been applied, also because no response of the service arrived."""
    retry_delay: datetime.timedelta | None = None
    request_id: str = ""
    """Seam's id of the request, for Seam's support. If Seam has not responded, it is the call id."""
    call_id: str = ""
    """The id of the call, to look for in the service's log: the x-request-id that the call sent."""
    data: Any = dataclasses.field(default=None, repr=False)
    """Seam's error.data, as json.loads would return it."""

    def __str__(self) -> str:
        text = f"{self.reason or self.code.name}: {self.message}"
        ids = {"request id": self.request_id, "call id": self.call_id}
        known = ", ".join(f"{name} {value}" for name, value in ids.items() if value)
        return f"{text} ({known})" if known else text

    @classmethod
    def of(cls, thrown: grpc.RpcError) -> "Error":
        """Reads an error that a stub of another channel raises, of grpc or of grpc.aio."""
        # By position: pickle makes an exception of these again.
        error = cls(thrown.code(), thrown.details() or "")
        for detail in _details(thrown.trailing_metadata() or ()):
            # Any proxy may have sent it. What cannot be read must not hide the error.
            with contextlib.suppress(message.DecodeError, ValueError, OverflowError):
                error._read(detail)
        return error

    def _read(self, detail: any_pb2.Any) -> None:
        info, bad_request = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
        retry, request = error_details_pb2.RetryInfo(), error_details_pb2.RequestInfo()
        struct, value = struct_pb2.Struct(), struct_pb2.Value()
        if detail.Unpack(info):
            self.reason, self.domain, self.type = info.reason, info.domain, info.metadata["type"]
            self.outcome_unknown = info.metadata["outcome"] == "unknown"
            self.call_id = info.metadata["x-request-id"]
            self.http_status = int(info.metadata["http_status"])
        elif detail.Unpack(bad_request):
            self.violations = [Violation(found.field, found.description) for found in bad_request.field_violations]
        elif detail.Unpack(retry):
            self.retry_delay = retry.retry_delay.ToTimedelta()
        elif detail.Unpack(request):
            self.request_id = request.request_id
        elif detail.Unpack(struct):
            self.data = json_format.MessageToDict(struct)
        elif detail.Unpack(value):
            self.data = json_format.MessageToDict(value)


def _details(metadata: Iterable[Any]) -> Iterable[any_pb2.Any]:
    for key, value in metadata:
        if key == "grpc-status-details-bin":
            with contextlib.suppress(message.DecodeError):
                return status_pb2.Status.FromString(value).details
    return ()
