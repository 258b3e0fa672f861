package com.clientsession;

import io.grpc.CallCredentials;
import io.grpc.Grpc;
import io.grpc.Metadata;
import io.grpc.SecurityLevel;
import io.grpc.Status;
import java.net.InetSocketAddress;
import java.util.concurrent.Executor;

/**
 * A credential as {@code authorization: Bearer}: an API key of Seam, another token that Seam accepts, or the token of a
 * caller of the service. It is for a channel, or for one call by {@code stub.withCallCredentials}.
 */
public final class BearerToken extends CallCredentials {
  private static final Metadata.Key<String> AUTHORIZATION =
      Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER);

  private final String token;
  private final boolean inPlaintext;

  /** A token that is sent over TLS, and in plain text to loopback only. A call that would do otherwise fails. */
  public BearerToken(String token) {
    this(token, false);
  }

  private BearerToken(String token, boolean inPlaintext) {
    // A line break at the end of a file is what most often makes a token invalid.
    if (token == null || !token.matches("[!-~]+")) {
      throw new IllegalArgumentException("the token is missing, or has a character that no token has");
    }
    this.token = token;
    this.inPlaintext = inPlaintext;
  }

  /** A token that is sent in plain text to any host, such as through the proxy of a service mesh, which encrypts. */
  public static BearerToken inPlaintext(String token) {
    return new BearerToken(token, true);
  }

  @Override
  public void applyRequestMetadata(RequestInfo request, Executor executor, MetadataApplier applier) {
    if (!inPlaintext && request.getSecurityLevel() != SecurityLevel.PRIVACY_AND_INTEGRITY && !onLoopback(request)) {
      applier.fail(Status.UNAUTHENTICATED.withDescription("the token is not sent in plain text to another host"));
      return;
    }
    Metadata headers = new Metadata();
    headers.put(AUTHORIZATION, "Bearer " + token);
    applier.apply(headers);
  }

  // The address of the connection, because a name such as localhost may resolve to any address.
  private static boolean onLoopback(RequestInfo request) {
    return request.getTransportAttrs().get(Grpc.TRANSPORT_ATTR_REMOTE_ADDR) instanceof InetSocketAddress remote
        && remote.getAddress().isLoopbackAddress();
  }
}
