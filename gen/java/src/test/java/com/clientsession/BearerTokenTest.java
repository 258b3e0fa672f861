package com.clientsession;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.grpc.Attributes;
import io.grpc.CallCredentials;
import io.grpc.Grpc;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.SecurityLevel;
import io.grpc.Status;
import io.grpc.health.v1.HealthGrpc;
import java.net.InetSocketAddress;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.NullSource;
import org.junit.jupiter.params.provider.ValueSource;

class BearerTokenTest {
  @ParameterizedTest
  @CsvSource({
    "NONE, 127.0.0.1, true", "NONE, ::1, true", "NONE, 192.0.2.1, false", "INTEGRITY, 192.0.2.1, false",
    "PRIVACY_AND_INTEGRITY, 192.0.2.1, true",
  })
  void isNotSentInPlainTextToAnotherHost(SecurityLevel level, String remote, boolean sent) {
    assertEquals(sent, isSent(new BearerToken("secret"), level, remote));
  }

  @Test
  void isSentInPlainTextIfAskedFor() {
    assertEquals(true, isSent(BearerToken.inPlaintext("secret"), SecurityLevel.NONE, "192.0.2.1"));
  }

  @ParameterizedTest
  @NullSource
  @ValueSource(strings = {"", "secret\n", "secret secret", "sécret"})
  void refusesWhatIsNoToken(String token) {
    Exception refusal = assertThrows(IllegalArgumentException.class, () -> new BearerToken(token));
    assertFalse(refusal.getMessage().contains("cret"), "the message has the token");
  }

  private static boolean isSent(CallCredentials credentials, SecurityLevel level, String remote) {
    var address = new InetSocketAddress(remote, 443);
    var request =
        new CallCredentials.RequestInfo() {
          @Override
          public MethodDescriptor<?, ?> getMethodDescriptor() {
            return HealthGrpc.getCheckMethod();
          }

          @Override
          public SecurityLevel getSecurityLevel() {
            return level;
          }

          @Override
          public String getAuthority() {
            return "localhost"; // A name says nothing about the address.
          }

          @Override
          public Attributes getTransportAttrs() {
            return Attributes.newBuilder().set(Grpc.TRANSPORT_ATTR_REMOTE_ADDR, address).build();
          }
        };
    var applier =
        new CallCredentials.MetadataApplier() {
          private Metadata applied;
          private Status failed;

          @Override
          public void apply(Metadata headers) {
            applied = headers;
          }

          @Override
          public void fail(Status status) {
            failed = status;
          }
        };
    credentials.applyRequestMetadata(request, Runnable::run, applier);
    assertEquals(applier.applied == null, applier.failed != null);
    return applier.applied != null;
  }
}
