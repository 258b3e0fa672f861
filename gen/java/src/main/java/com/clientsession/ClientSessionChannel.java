package com.clientsession;

import com.clientsession.v1.ClientSessionServiceGrpc;
import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ChannelCredentials;
import io.grpc.ClientCall;
import io.grpc.CompositeChannelCredentials;
import io.grpc.Context;
import io.grpc.ForwardingClientCall.SimpleForwardingClientCall;
import io.grpc.ForwardingClientCallListener.SimpleForwardingClientCallListener;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.ManagedChannelBuilder;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.MethodDescriptor.MethodType;
import io.grpc.Status;
import io.grpc.TlsChannelCredentials;
import java.util.UUID;
import java.util.concurrent.TimeUnit;
import java.util.regex.Pattern;

/**
 * Makes channels to the service. A channel serves any number of calls at a time and reconnects by itself: a program
 * makes one and keeps it.
 */
public final class ClientSessionChannel {
  private static final Pattern LOOPBACK =
      Pattern.compile("(dns:///)?(localhost|127(\\.\\d{1,3}){3}|\\[::1])(:\\d+)?", Pattern.CASE_INSENSITIVE);
  private static final long DEFAULT_DEADLINE_SECONDS = 10;

  private ClientSessionChannel() {}

  /**
   * Returns a channel whose calls carry the token. The connection is TLS, with the certificate authorities of the JVM,
   * or plain text if the address is loopback.
   */
  public static ManagedChannel connect(String address, String token) {
    ChannelCredentials credentials =
        LOOPBACK.matcher(address).matches() ? InsecureChannelCredentials.create() : TlsChannelCredentials.create();
    return builder(address, CompositeChannelCredentials.create(credentials, new BearerToken(token))).build();
  }

  /**
   * Returns the builder of a channel with other credentials or other options of gRPC: an authority of your own or a
   * client certificate by {@link TlsChannelCredentials}, plain text by {@link InsecureChannelCredentials}, and a {@link
   * BearerToken} beside them by {@link CompositeChannelCredentials}.
   */
  public static ManagedChannelBuilder<?> builder(String address, ChannelCredentials credentials) {
    return Grpc.newChannelBuilder(address, credentials)
        .defaultServiceConfig(ServiceConfig.RECOMMENDED)
        // A replica that hangs is left after 12 seconds. Also without calls, since a call that waits for a connection is
        // none to the connection, which would be made for ever.
        .keepAliveTime(10, TimeUnit.SECONDS)
        .keepAliveTimeout(2, TimeUnit.SECONDS)
        .keepAliveWithoutCalls(true)
        .intercept(ClientSessionChannel::withDeadline, ClientSessionChannel::withCallId);
  }

  // A stream, such as a watch of health, may last.
  private static <Q, A> ClientCall<Q, A> withDeadline(
      MethodDescriptor<Q, A> method, CallOptions options, Channel next) {
    boolean hasDeadline = options.getDeadline() != null || Context.current().getDeadline() != null;
    if (!hasDeadline && method.getType() == MethodType.UNARY) {
      options = options.withDeadlineAfter(DEFAULT_DEADLINE_SECONDS, TimeUnit.SECONDS);
    }
    return next.newCall(method, options);
  }

  // A call that no response of the service ends has an id too, and a write that may have been applied. Both go into the
  // trailers, where ClientSessionError finds them.
  private static <Q, A> ClientCall<Q, A> withCallId(
      MethodDescriptor<Q, A> method, CallOptions options, Channel next) {
    return new SimpleForwardingClientCall<>(next.newCall(method, options)) {
      @Override
      public void start(Listener<A> listener, Metadata headers) {
        if (!headers.containsKey(ClientSessionError.CALL_ID)) {
          headers.put(ClientSessionError.CALL_ID, UUID.randomUUID().toString());
        }
        String id = headers.get(ClientSessionError.CALL_ID);
        super.start(
            new SimpleForwardingClientCallListener<>(listener) {
              @Override
              public void onClose(Status status, Metadata trailers) {
                trailers.discardAll(ClientSessionError.CALL_ID);
                trailers.put(ClientSessionError.CALL_ID, id);
                trailers.discardAll(ClientSessionError.LOST_WRITE);
                if (!isRead(method) && ClientSessionError.LOST.contains(status.getCode())) {
                  trailers.put(ClientSessionError.LOST_WRITE, "true");
                }
                super.onClose(status, trailers);
              }
            },
            headers);
      }
    };
  }

  private static boolean isRead(MethodDescriptor<?, ?> method) {
    return method.equals(ClientSessionServiceGrpc.getGetMethod()) || method.equals(ClientSessionServiceGrpc.getListMethod());
  }
}
