package com.clientsession;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.clientsession.v1.ClientSessionServiceGrpc;
import com.clientsession.v1.CreateRequest;
import com.clientsession.v1.CreateResponse;
import com.clientsession.v1.DeleteRequest;
import com.clientsession.v1.GetRequest;
import com.clientsession.v1.GrantAccessRequest;
import com.clientsession.v1.GrantAccessResponse;
import io.grpc.Context;
import io.grpc.Deadline;
import io.grpc.Grpc;
import io.grpc.InsecureServerCredentials;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.Server;
import io.grpc.ServerCall;
import io.grpc.ServerCallHandler;
import io.grpc.ServerInterceptor;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.health.v1.HealthCheckRequest;
import io.grpc.health.v1.HealthGrpc;
import io.grpc.protobuf.services.HealthStatusManager;
import io.grpc.stub.MetadataUtils;
import io.grpc.stub.StreamObserver;
import java.io.IOException;
import java.net.ServerSocket;
import java.net.Socket;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.Executors;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ClientSessionChannelTest {
  private static final int TIMEOUT_MS = 10_000;

  // The first byte of a connection.
  private static final int TLS = 0x16;
  private static final int PLAIN_TEXT = 'P';

  /** What the server got of an attempt. */
  private record Attempt(String authorization, String callId, Deadline deadline) {}

  private final BlockingQueue<Attempt> attempts = new LinkedBlockingQueue<>();
  private Server server;
  private ManagedChannel channel;

  @BeforeEach
  void start() throws IOException {
    server =
        Grpc.newServerBuilderForPort(0, InsecureServerCredentials.create())
            .addService(new HealthStatusManager().getHealthService())
            .addService(new UnavailableAtFirst())
            .intercept(new Recorder())
            .build()
            .start();
    channel = ClientSessionChannel.connect("localhost:" + server.getPort(), "secret");
  }

  @AfterEach
  void stop() {
    channel.shutdownNow();
    server.shutdownNow();
  }

  @Test
  void sendsTheToken() throws Exception {
    HealthGrpc.newBlockingStub(channel).check(HealthCheckRequest.getDefaultInstance());
    assertEquals("Bearer secret", attempts.take().authorization());
  }

  @Test
  void givesEachCallAnId() throws Exception {
    var sessions = ClientSessionServiceGrpc.newBlockingStub(channel);
    var request = CreateRequest.getDefaultInstance();
    var error = ClientSessionError.of(assertThrows(StatusRuntimeException.class, () -> sessions.create(request)));
    String sent = attempts.take().callId();
    assertTrue(sent.matches("[0-9a-f-]{36}"), sent);
    assertEquals(sent, error.callId());
    assertEquals("UNAVAILABLE (call id " + sent + ")", error.toString());
    assertTrue(error.outcomeUnknown(), "a Create without a response of the service may be repeated");

    Metadata own = new Metadata();
    own.put(ClientSessionError.CALL_ID, "order-17");
    var named = sessions.withInterceptors(MetadataUtils.newAttachHeadersInterceptor(own));
    error = ClientSessionError.of(assertThrows(StatusRuntimeException.class, () -> named.create(request)));
    assertEquals("order-17", attempts.take().callId());
    assertEquals("order-17", error.callId());
  }

  @Test
  void knowsTheOutcomeOfAReadOrARefusal() {
    var sessions = ClientSessionServiceGrpc.newBlockingStub(channel);
    for (Executable call :
        List.<Executable>of(
            () -> sessions.withDeadlineAfter(-1, TimeUnit.SECONDS).get(GetRequest.getDefaultInstance()),
            () -> sessions.delete(DeleteRequest.getDefaultInstance()))) { // The server has neither.
      assertFalse(ClientSessionError.of(assertThrows(StatusRuntimeException.class, call)).outcomeUnknown());
    }
  }

  @Test
  void setsADeadlineWhereThereIsNone() throws Exception {
    var health = HealthGrpc.newBlockingStub(channel);
    var request = HealthCheckRequest.getDefaultInstance();

    health.check(request);
    assertTrue(secondsLeft() < 10, "no deadline");

    health.withDeadlineAfter(60, TimeUnit.SECONDS).check(request);
    assertTrue(secondsLeft() > 30, "another deadline than the call's own");

    ScheduledExecutorService timer = Executors.newSingleThreadScheduledExecutor();
    Context.current().withDeadlineAfter(60, TimeUnit.SECONDS, timer).run(() -> health.check(request));
    timer.shutdownNow();
    assertTrue(secondsLeft() > 30, "another deadline than the context's");

    health.watch(request).next();
    assertNull(attempts.take().deadline(), "a stream with a deadline");
  }

  @Test
  void retriesWhatIsIdempotent() {
    var sessions = ClientSessionServiceGrpc.newBlockingStub(channel);
    sessions.grantAccess(GrantAccessRequest.getDefaultInstance());
    assertEquals(2, attempts.size());
    attempts.clear();

    var request = CreateRequest.getDefaultInstance();
    assertThrows(StatusRuntimeException.class, () -> sessions.create(request));
    assertEquals(1, attempts.size());
  }

  /** On Linux, 0.0.0.0 connects to this machine without being a loopback address. */
  @ParameterizedTest
  @CsvSource({
    "localhost, plain text", "127.0.0.1, plain text", "dns:///127.0.0.2, plain text",
    "0.0.0.0, TLS", "dns:///0.0.0.0, TLS",
  })
  void speaksPlainTextToLoopbackOnly(String host, String expected) throws IOException {
    try (ServerSocket listener = new ServerSocket(0)) {
      ManagedChannel other = ClientSessionChannel.connect(host + ":" + listener.getLocalPort(), "secret");
      other.getState(true);
      listener.setSoTimeout(TIMEOUT_MS);
      try (Socket connection = listener.accept()) {
        connection.setSoTimeout(TIMEOUT_MS);
        assertEquals(expected.equals("TLS") ? TLS : PLAIN_TEXT, connection.getInputStream().read());
      } finally {
        other.shutdownNow();
      }
    }
  }

  @Test
  void connectsAgainWhereAServerHangsBeforeItResponds() throws IOException {
    try (ServerSocket listener = new ServerSocket(0)) {
      ManagedChannel other = ClientSessionChannel.connect("127.0.0.1:" + listener.getLocalPort(), "secret");
      var call = ClientSessionServiceGrpc.newFutureStub(other).get(GetRequest.getDefaultInstance());
      listener.setSoTimeout(2 * TIMEOUT_MS);
      try (Socket first = listener.accept();
          Socket second = listener.accept()) {
        assertTrue(call.isDone(), "the call waits longer than its deadline");
      } finally {
        other.shutdownNow();
      }
    }
  }

  private long secondsLeft() throws InterruptedException {
    return attempts.take().deadline().timeRemaining(TimeUnit.SECONDS);
  }

  private final class Recorder implements ServerInterceptor {
    @Override
    public <Q, A> ServerCall.Listener<Q> interceptCall(
        ServerCall<Q, A> call, Metadata headers, ServerCallHandler<Q, A> next) {
      String authorization = headers.get(Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER));
      String callId = headers.get(ClientSessionError.CALL_ID);
      attempts.add(new Attempt(authorization, callId, Context.current().getDeadline()));
      return next.startCall(call, headers);
    }
  }

  private final class UnavailableAtFirst extends ClientSessionServiceGrpc.ClientSessionServiceImplBase {
    @Override
    public void grantAccess(GrantAccessRequest request, StreamObserver<GrantAccessResponse> observer) {
      respond(GrantAccessResponse.getDefaultInstance(), observer);
    }

    @Override
    public void create(CreateRequest request, StreamObserver<CreateResponse> observer) {
      respond(CreateResponse.getDefaultInstance(), observer);
    }

    private <A> void respond(A response, StreamObserver<A> observer) {
      if (attempts.size() == 1) {
        observer.onError(Status.UNAVAILABLE.asRuntimeException());
      } else {
        observer.onNext(response);
        observer.onCompleted();
      }
    }
  }
}
