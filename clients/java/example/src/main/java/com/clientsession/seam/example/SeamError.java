package com.clientsession.seam.example;

import com.google.protobuf.Any;
import com.google.protobuf.Duration;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.rpc.BadRequest;
import com.google.rpc.BadRequest.FieldViolation;
import com.google.rpc.ErrorInfo;
import com.google.rpc.RequestInfo;
import com.google.rpc.RetryInfo;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * What a failed call says beyond its code. A failure that did not come from the service, such as a refused connection
 * or a deadline, has a code and a message and nothing else.
 *
 * @param reason what kind of error it is, in upper case: the thing for a program to branch on; empty if not known
 * @param domain who defines the reason: Seam, or the service itself
 * @param metadata {@code type}, Seam's own name of the error, and {@code http_status}
 * @param fields what is wrong with which field of the request; the field is empty if it is the request as a whole
 * @param retryDelay how long to wait before the next try, if Seam says so
 * @param requestId what to quote to Seam's support; empty if not known
 */
public record SeamError(
    Status.Code code,
    String message,
    String reason,
    String domain,
    Map<String, String> metadata,
    List<FieldViolation> fields,
    Optional<Duration> retryDelay,
    String requestId) {

  /** Reads the error that a stub threw. */
  public static SeamError of(StatusRuntimeException thrown) {
    // The status with its details travels in the trailers; without any, this returns the code and the message alone.
    com.google.rpc.Status status = StatusProto.fromThrowable(thrown);
    ErrorInfo info = ErrorInfo.getDefaultInstance();
    List<FieldViolation> fields = List.of();
    Optional<Duration> retryDelay = Optional.empty();
    String requestId = "";
    try {
      for (Any detail : status.getDetailsList()) {
        if (detail.is(ErrorInfo.class)) {
          info = detail.unpack(ErrorInfo.class);
        } else if (detail.is(BadRequest.class)) {
          fields = detail.unpack(BadRequest.class).getFieldViolationsList();
        } else if (detail.is(RetryInfo.class)) {
          retryDelay = Optional.of(detail.unpack(RetryInfo.class).getRetryDelay());
        } else if (detail.is(RequestInfo.class)) {
          requestId = detail.unpack(RequestInfo.class).getRequestId();
        }
      }
    } catch (InvalidProtocolBufferException e) {
      // A detail that cannot be read must not hide the error that it belongs to; the exception stays findable.
      thrown.addSuppressed(e);
    }
    // What the service says has no cause. What gRPC itself says, such as "io exception", is explained only by it, and
    // best by the first in the chain, such as a refused connection or a certificate that is not trusted.
    Throwable cause = thrown.getStatus().getCause();
    while (cause != null && cause.getCause() != null) {
      cause = cause.getCause();
    }
    return new SeamError(
        thrown.getStatus().getCode(),
        cause == null ? status.getMessage() : status.getMessage() + ": " + cause.getMessage(),
        info.getReason(),
        info.getDomain(),
        info.getMetadataMap(),
        fields,
        retryDelay,
        requestId);
  }

  /** The error for a person to read, a line for each fact. */
  public String describe() {
    StringBuilder text = new StringBuilder(code + ": " + message);
    if (!reason.isEmpty()) {
      text.append("\n  reason:     ").append(reason).append(" (").append(domain).append(")");
    }
    metadata.forEach((key, value) -> text.append("\n  %-11s %s".formatted(key + ":", value)));
    for (FieldViolation field : fields) {
      String name = field.getField().isEmpty() ? "(request)" : field.getField();
      text.append("\n  field:      ").append(name).append(": ").append(field.getDescription());
    }
    retryDelay.ifPresent(delay -> text.append("\n  retry in:   ").append(delay.getSeconds()).append(" s"));
    if (!requestId.isEmpty()) {
      text.append("\n  request id: ").append(requestId);
    }
    return text.toString();
  }
}
