package com.clientsession.scenarios;

import com.clientsession.ClientSessionError;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import io.grpc.Metadata;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Set;

/** The `expect` of a scenario, and the list of what was not like it. */
final class Expectations {
  private static final Metadata.Key<String> SEAM_REQUEST_ID =
      Metadata.Key.of("seam-request-id", Metadata.ASCII_STRING_MARSHALLER);

  private final JsonObject expect;
  private final List<String> failures = new ArrayList<>();

  Expectations(JsonObject expect) {
    this.expect = expect;
  }

  List<String> failures() {
    return failures;
  }

  void fail(String failure) {
    failures.add(failure);
  }

  String text(String member) {
    return expect.get(member).getAsString();
  }

  void equal(String what, Object expected, Object got) {
    if (!Objects.equals(expected, got)) {
      fail("%s: expected %s, got %s".formatted(what, expected, got));
    }
  }

  /** Compares the code, and says whether it is worth comparing the rest. */
  boolean code(Status.Code got) {
    equal("code", text("code"), got.name());
    return text("code").equals(got.name());
  }

  /**
   * Compares a session, given as JSON that has every list and number, even if empty or zero, and every optional field
   * that is set and no other.
   */
  void session(String json) {
    JsonObject session = JsonParser.parseString(json).getAsJsonObject();
    for (var field : expect.getAsJsonObject("session").entrySet()) {
      JsonElement expected = field.getValue();
      // In the scenarios, null is a field that is not there.
      equal("session." + field.getKey(), expected.isJsonNull() ? null : expected, session.get(field.getKey()));
    }
    onlyExpected(Set.of("code", "session"));
  }

  void error(StatusRuntimeException thrown, Metadata trailers) {
    if (thrown.getStatus().getCode() == Status.Code.DEADLINE_EXCEEDED) {
      // It may be the client's own deadline that fell first, and that has no details.
      onlyExpected(Set.of("code"));
      return;
    }
    ClientSessionError error = ClientSessionError.of(thrown);
    equal("reason", text("reason"), error.reason());
    equal("domain", text("domain"), error.domain());
    equal("type", text("type"), error.type());
    equal("http_status", text("http_status"), String.valueOf(error.httpStatus()));
    equal(
        "fields",
        expect.getAsJsonArray("fields").asList().stream().map(JsonElement::getAsString).toList(),
        error.violations().stream().map(ClientSessionError.Violation::field).toList());
    JsonElement seconds = expect.get("retry_delay_seconds");
    equal(
        "retry delay",
        seconds == null ? null : Duration.ofSeconds(seconds.getAsLong()),
        error.retryDelay().orElse(null));
    if (error.requestId().isEmpty()) {
      fail("request id: there is none");
    }
    String trailer = trailers == null ? null : trailers.get(SEAM_REQUEST_ID);
    equal("request id in the trailers", error.requestId(), trailer);
    onlyExpected(Set.of("code", "reason", "domain", "type", "http_status", "fields", "retry_delay_seconds"));
  }

  void services(List<String> got) {
    for (JsonElement service : expect.getAsJsonArray("services")) {
      if (!got.contains(service.getAsString())) {
        fail("services: expected %s among %s".formatted(service.getAsString(), got));
      }
    }
  }

  /** Fails for each member of `expect` that has not been checked. */
  void onlyExpected(Set<String> known) {
    onlyMembers("expect", expect, known);
  }

  void onlyMembers(String what, JsonObject object, Set<String> known) {
    for (String member : object.keySet()) {
      if (!known.contains(member)) {
        fail("%s: this program does not know the member %s".formatted(what, member));
      }
    }
  }
}
