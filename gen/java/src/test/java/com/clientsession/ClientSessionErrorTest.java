package com.clientsession;

import static org.junit.jupiter.api.Assertions.assertEquals;

import com.google.protobuf.Any;
import com.google.protobuf.ByteString;
import com.google.protobuf.ListValue;
import com.google.protobuf.Message;
import com.google.protobuf.NullValue;
import com.google.protobuf.Struct;
import com.google.protobuf.Value;
import com.google.rpc.BadRequest;
import com.google.rpc.BadRequest.FieldViolation;
import com.google.rpc.Code;
import com.google.rpc.ErrorInfo;
import com.google.rpc.RequestInfo;
import com.google.rpc.RetryInfo;
import io.grpc.Metadata;
import io.grpc.Status;
import io.grpc.protobuf.StatusProto;
import java.io.IOException;
import java.time.Duration;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ExecutionException;
import org.junit.jupiter.api.Test;

class ClientSessionErrorTest {
  private static final Metadata.Key<byte[]> DETAILS =
      Metadata.Key.of("grpc-status-details-bin", Metadata.BINARY_BYTE_MARSHALLER);

  @Test
  void readsEachDetail() {
    // As a future reports it.
    ClientSessionError error = ClientSessionError.of(new ExecutionException(thrown(
        ErrorInfo.newBuilder()
            .setReason("INVALID_INPUT")
            .setDomain("connect.getseam.com")
            .putMetadata("type", "invalid_input")
            .putMetadata("http_status", "400")
            .putMetadata("outcome", "unknown")
            .putMetadata("x-request-id", "order-17")
            .build(),
        RequestInfo.newBuilder().setRequestId("57bafce8").build(),
        BadRequest.newBuilder()
            .addFieldViolations(FieldViolation.newBuilder().setField("customer_key").setDescription("Required"))
            .build(),
        RetryInfo.newBuilder()
            .setRetryDelay(com.google.protobuf.Duration.newBuilder().setSeconds(1).setNanos(500_000_000))
            .build())));
    assertEquals(
        new ClientSessionError(
            Status.Code.INVALID_ARGUMENT, Reason.INVALID_INPUT, "connect.getseam.com", "invalid_input", "Bad", 400,
            List.of(new ClientSessionError.Violation("customer_key", "Required")), true,
            Optional.of(Duration.ofMillis(1500)), "57bafce8", "order-17", Optional.empty()),
        error);
    assertEquals("INVALID_INPUT: Bad (request id 57bafce8, call id order-17)", error.toString());
  }

  @Test
  void readsDataAsPlainValues() {
    Value text = Value.newBuilder().setStringValue("a").build();
    Value none = Value.newBuilder().setNullValue(NullValue.NULL_VALUE).build();
    Value list = Value.newBuilder().setListValue(ListValue.newBuilder().addValues(text).addValues(none)).build();
    Struct object =
        Struct.newBuilder()
            .putFields("list", list)
            .putFields("none", none)
            .putFields("number", Value.newBuilder().setNumberValue(2).build())
            .putFields("yes", Value.newBuilder().setBoolValue(true).build())
            .build();
    Map<String, Object> plain = new HashMap<>(Map.of("list", Arrays.asList("a", null), "number", 2.0, "yes", true));
    plain.put("none", null);
    assertEquals(Optional.of(plain), ClientSessionError.of(thrown(object)).data());
    assertEquals(Optional.of("a"), ClientSessionError.of(thrown(text)).data());
    assertEquals(Optional.empty(), ClientSessionError.of(thrown(none)).data());
  }

  @Test
  void readsAnErrorWithoutDetails() {
    Exception refused = new IOException("io", new IOException("Connection refused"));
    Status unavailable = Status.UNAVAILABLE.withDescription("io exception\nChannel Pipeline: []").withCause(refused);
    assertWithoutDetails("UNAVAILABLE: io exception: Connection refused", unavailable.asRuntimeException());
    assertWithoutDetails("DEADLINE_EXCEEDED", Status.DEADLINE_EXCEEDED.asException());
    assertWithoutDetails("UNKNOWN: no error of gRPC", new IllegalStateException("no error of gRPC"));
  }

  @Test
  void survivesDetailsThatCannotBeRead() {
    Metadata malformed = new Metadata();
    malformed.put(DETAILS, new byte[] {(byte) 0xff});
    assertWithoutDetails("INTERNAL: Bad", Status.INTERNAL.withDescription("Bad").asRuntimeException(malformed));

    // Another code than that of the call.
    Metadata other = new Metadata();
    other.put(DETAILS, com.google.rpc.Status.newBuilder().setCode(Code.ABORTED_VALUE).build().toByteArray());
    assertWithoutDetails("INTERNAL: Bad", Status.INTERNAL.withDescription("Bad").asRuntimeException(other));

    ByteString invalid = ByteString.copyFrom(new byte[] {(byte) 0xff});
    ClientSessionError error = ClientSessionError.of(thrown(
        Any.newBuilder().setTypeUrl("type.googleapis.com/google.rpc.BadRequest").setValue(invalid).build(),
        RetryInfo.newBuilder()
            .setRetryDelay(
                com.google.protobuf.Duration.newBuilder().setSeconds(Long.MAX_VALUE).setNanos(Integer.MAX_VALUE))
            .build(),
        ErrorInfo.newBuilder().setReason("INVALID_INPUT").putMetadata("http_status", "none").build()));
    assertEquals(Reason.INVALID_INPUT, error.reason());
    assertEquals(0, error.httpStatus());
    assertEquals(List.of(), error.violations());
    assertEquals(Optional.empty(), error.retryDelay());
  }

  private static void assertWithoutDetails(String text, Exception thrown) {
    ClientSessionError error = ClientSessionError.of(thrown);
    assertEquals(text, error.toString());
    assertEquals(
        new ClientSessionError(
            Status.fromThrowable(thrown).getCode(), "", "", "", error.message(), 0, List.of(), false,
            Optional.empty(), "", "", Optional.empty()),
        error);
  }

  private static Exception thrown(Message... details) {
    com.google.rpc.Status.Builder status =
        com.google.rpc.Status.newBuilder().setCode(Code.INVALID_ARGUMENT_VALUE).setMessage("Bad");
    for (Message detail : details) {
      status.addDetails(detail instanceof Any any ? any : Any.pack(detail));
    }
    return StatusProto.toStatusRuntimeException(status.build());
  }
}
