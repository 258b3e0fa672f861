package com.clientsession;

import static io.grpc.Status.Code.CANCELLED;
import static io.grpc.Status.Code.DEADLINE_EXCEEDED;
import static io.grpc.Status.Code.INTERNAL;
import static io.grpc.Status.Code.UNAVAILABLE;
import static io.grpc.Status.Code.UNKNOWN;

import com.google.protobuf.Any;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.Message;
import com.google.protobuf.Struct;
import com.google.protobuf.Value;
import com.google.rpc.BadRequest;
import com.google.rpc.ErrorInfo;
import com.google.rpc.RequestInfo;
import com.google.rpc.RetryInfo;
import io.grpc.Metadata;
import io.grpc.Status;
import io.grpc.protobuf.StatusProto;
import java.time.Duration;
import java.util.Collections;
import java.util.EnumSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.function.Function;
import java.util.stream.Stream;

/**
 * The error of a call. An error that is not the service's, such as a refused connection or a deadline that passed
 * before the service responded, has a code, a message and the call id only: the other texts are empty, and the HTTP
 * status is 0.
 *
 * @param code the code of gRPC
 * @param reason the kind of error, to compare with {@link Reason}
 * @param domain who defines the reason: {@code connect.getseam.com}, or {@code client-session-service}
 * @param type Seam's name of the kind of error
 * @param message what is wrong, for people
 * @param httpStatus the HTTP status, as the REST face has it
 * @param violations the invalid fields of the request
 * @param outcomeUnknown whether the call failed and may nevertheless have been applied, also because no response of the
 *     service arrived
 * @param retryDelay how long to wait before the next call, if that is known
 * @param requestId the id to quote to Seam's support; if Seam has not responded, it is the callId
 * @param callId the id to look for in the log of the service: the {@code x-request-id} that the call sent
 * @param data Seam's {@code error.data}, if there is any: a Map, List, String, Double or Boolean
 */
public record ClientSessionError(
    Status.Code code,
    String reason,
    String domain,
    String type,
    String message,
    int httpStatus,
    List<Violation> violations,
    boolean outcomeUnknown,
    Optional<Duration> retryDelay,
    String requestId,
    String callId,
    Optional<Object> data) {

  static final Metadata.Key<String> CALL_ID = Metadata.Key.of("x-request-id", Metadata.ASCII_STRING_MARSHALLER);

  /** What the channel says of a write that may have reached the service. Nothing on the wire has this name. */
  static final Metadata.Key<String> LOST_WRITE = Metadata.Key.of("lost-write", Metadata.ASCII_STRING_MARSHALLER);

  /** The codes of an error of the client whose call may nevertheless have reached the service. */
  static final Set<Status.Code> LOST =
      EnumSet.of(CANCELLED, DEADLINE_EXCEEDED, INTERNAL, UNAVAILABLE, UNKNOWN);

  /** An invalid field of the request. The field is empty if it is the request as a whole. */
  public record Violation(String field, String description) {}

  /** Reads what a stub of any kind threw or reported. It never throws. */
  public static ClientSessionError of(Throwable thrown) {
    Status status = Status.fromThrowable(thrown);
    List<Any> details = details(thrown);
    ErrorInfo info = read(details, ErrorInfo.class, found -> found).orElse(ErrorInfo.getDefaultInstance());
    Map<String, String> metadata = info.getMetadataMap();
    return new ClientSessionError(
        status.getCode(),
        info.getReason(),
        info.getDomain(),
        metadata.getOrDefault("type", ""),
        message(status),
        metadata.getOrDefault("http_status", "").matches("\\d{3}") ? Integer.parseInt(metadata.get("http_status")) : 0,
        read(details, BadRequest.class, ClientSessionError::violations).orElse(List.of()),
        "unknown".equals(metadata.get("outcome"))
            || info.getReason().isEmpty() && !sent(thrown, LOST_WRITE).isEmpty(),
        read(details, RetryInfo.class, ClientSessionError::delay),
        read(details, RequestInfo.class, RequestInfo::getRequestId).orElse(""),
        metadata.getOrDefault(CALL_ID.name(), sent(thrown, CALL_ID)),
        read(details, Struct.class, ClientSessionError::plain)
            .or(() -> read(details, Value.class, ClientSessionError::plain)));
  }

  /** The error as a line for people. */
  @Override
  public String toString() {
    return (reason.isEmpty() ? code.name() : reason)
        + (message.isEmpty() ? "" : ": " + message)
        + Stream.of(requestId.isEmpty() ? "" : "request id " + requestId, callId.isEmpty() ? "" : "call id " + callId)
            .filter(id -> !id.isEmpty())
            .reduce((request, call) -> request + ", " + call)
            .map(ids -> " (" + ids + ")")
            .orElse("");
  }

  // What the channel has put into the trailers.
  private static String sent(Throwable thrown, Metadata.Key<String> key) {
    Metadata trailers = Status.trailersFromThrowable(thrown);
    return trailers == null || !trailers.containsKey(key) ? "" : trailers.get(key);
  }

  private static List<Any> details(Throwable thrown) {
    try {
      com.google.rpc.Status status = StatusProto.fromThrowable(thrown);
      return status == null ? List.of() : status.getDetailsList();
    } catch (RuntimeException unreadable) {
      return List.of(); // An error whose details cannot be read is still an error with a code and a message.
    }
  }

  private static <T extends Message, R> Optional<R> read(List<Any> details, Class<T> type, Function<T, R> reader) {
    for (Any detail : details) {
      try {
        if (detail.is(type)) {
          return Optional.ofNullable(reader.apply(detail.unpack(type)));
        }
      } catch (InvalidProtocolBufferException | RuntimeException unreadable) {
        // One detail that cannot be read does not hide the others.
      }
    }
    return Optional.empty();
  }

  // What gRPC says by itself, such as "io exception", is explained by the first cause in the chain: a refused
  // connection, or a certificate that is not trusted. What the service says has no cause.
  private static String message(Status status) {
    String message = Objects.requireNonNullElse(status.getDescription(), "");
    Throwable cause = status.getCause();
    while (cause != null && cause.getCause() != null) {
      cause = cause.getCause();
    }
    if (cause == null) {
      return message;
    }
    String first = message.lines().findFirst().map(line -> line + ": ").orElse(""); // The others name Netty's classes.
    return first + Objects.requireNonNullElse(cause.getMessage(), cause.toString());
  }

  private static List<Violation> violations(BadRequest request) {
    return request.getFieldViolationsList().stream()
        .map(found -> new Violation(found.getField(), found.getDescription()))
        .toList();
  }

  private static Duration delay(RetryInfo info) {
    return Duration.ofSeconds(info.getRetryDelay().getSeconds(), info.getRetryDelay().getNanos());
  }

  private static Object plain(Struct object) {
    Map<String, Object> members = new LinkedHashMap<>(); // Unlike Map.of, it holds null.
    object.getFieldsMap().forEach((name, value) -> members.put(name, plain(value)));
    return Collections.unmodifiableMap(members);
  }

  private static Object plain(Value value) {
    return switch (value.getKindCase()) {
      case NUMBER_VALUE -> value.getNumberValue();
      case STRING_VALUE -> value.getStringValue();
      case BOOL_VALUE -> value.getBoolValue();
      case STRUCT_VALUE -> plain(value.getStructValue());
      case LIST_VALUE -> value.getListValue().getValuesList().stream().map(ClientSessionError::plain).toList();
      case NULL_VALUE, KIND_NOT_SET -> null;
    };
  }
}
