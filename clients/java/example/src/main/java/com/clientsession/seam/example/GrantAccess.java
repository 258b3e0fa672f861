package com.clientsession.seam.example;

import com.clientsession.v1.ClientSession;
import com.clientsession.v1.ClientSessionServiceGrpc;
import com.clientsession.v1.ClientSessionServiceGrpc.ClientSessionServiceBlockingStub;
import com.clientsession.v1.GrantAccessRequest;
import io.grpc.ChannelCredentials;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.StatusRuntimeException;
import io.grpc.TlsChannelCredentials;
import io.grpc.stub.MetadataUtils;
import java.time.Instant;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;

/** Grants a client session access to connected accounts. */
public final class GrantAccess {
  private static final String USAGE =
      """
      usage: SEAM_API_KEY=... java -jar client-session-example.jar \
      [--plaintext] HOST:PORT CLIENT_SESSION_ID CONNECTED_ACCOUNT_ID...
      """;

  private static final Metadata.Key<String> AUTHORIZATION =
      Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER);

  // The deadline is for the call with all its tries and the waits between them.
  private static final long DEADLINE_SECONDS = 10;

  /**
   * The channel's retry policy. Only GrantAccess is retried, because it is idempotent; a method that is not, such as
   * Create, must not be. Only UNAVAILABLE is retried, because any other code would be the same again. Numbers are
   * doubles, as gRPC parses JSON.
   */
  private static final Map<String, Object> SERVICE_CONFIG =
      Map.of(
          "methodConfig",
          List.of(
              Map.of(
                  "name",
                  List.of(Map.of("service", ClientSessionServiceGrpc.SERVICE_NAME, "method", "GrantAccess")),
                  "retryPolicy",
                  Map.of(
                      "maxAttempts", 4.0,
                      "initialBackoff", "0.2s",
                      "maxBackoff", "2s",
                      "backoffMultiplier", 2.0,
                      "retryableStatusCodes", List.of("UNAVAILABLE")))));

  private GrantAccess() {}

  public static void main(String[] arguments) throws InterruptedException {
    System.exit(run(arguments));
  }

  private static int run(String[] arguments) throws InterruptedException {
    List<String> rest = Arrays.asList(arguments);
    boolean plaintext = !rest.isEmpty() && rest.get(0).equals("--plaintext");
    if (plaintext) {
      rest = rest.subList(1, rest.size());
    }
    // The key is not an argument, since everybody on the machine can read those.
    String apiKey = System.getenv("SEAM_API_KEY");
    if (rest.size() < 3 || apiKey == null || apiKey.isBlank()) {
      System.err.print(USAGE);
      return 2;
    }

    // A channel is expensive and serves any number of calls at a time: a program makes one and keeps it.
    ManagedChannel channel = connect(rest.get(0), plaintext);
    try {
      ClientSession session =
          grant(authorized(channel, apiKey), rest.get(1), rest.subList(2, rest.size()));
      // The token is left out on purpose: it gives the session's access.
      System.out.println("client session:     " + session.getClientSessionId());
      System.out.println("connected accounts: " + session.getConnectedAccountIdsList());
      System.out.println("expires at:         " + Instant.ofEpochSecond(session.getExpiresAt().getSeconds()));
      if (session.hasUserIdentifierKey()) {
        System.out.println("user:               " + session.getUserIdentifierKey());
      }
      return 0;
    } catch (StatusRuntimeException e) {
      System.err.println(SeamError.of(e).describe());
      return 1;
    } finally {
      channel.shutdown().awaitTermination(5, TimeUnit.SECONDS);
    }
  }

  static ManagedChannel connect(String address, boolean plaintext) {
    // TLS trusts what the JVM trusts, which -Djavax.net.ssl.trustStore changes.
    ChannelCredentials credentials =
        plaintext ? InsecureChannelCredentials.create() : TlsChannelCredentials.create();
    return Grpc.newChannelBuilder(address, credentials).defaultServiceConfig(SERVICE_CONFIG).build();
  }

  /** Returns a stub whose calls carry the caller's own credential for Seam: the service has none. */
  static ClientSessionServiceBlockingStub authorized(ManagedChannel channel, String apiKey) {
    Metadata metadata = new Metadata();
    metadata.put(AUTHORIZATION, "Bearer " + apiKey);
    return ClientSessionServiceGrpc.newBlockingStub(channel)
        .withInterceptors(MetadataUtils.newAttachHeadersInterceptor(metadata));
  }

  static ClientSession grant(
      ClientSessionServiceBlockingStub stub, String clientSessionId, List<String> connectedAccountIds) {
    GrantAccessRequest request =
        GrantAccessRequest.newBuilder()
            .setClientSessionId(clientSessionId)
            .addAllConnectedAccountIds(connectedAccountIds)
            .build();
    // A deadline is set anew for each call: on a stub that is kept, it would pass once and for all.
    return stub.withDeadlineAfter(DEADLINE_SECONDS, TimeUnit.SECONDS).grantAccess(request).getClientSession();
  }
}
