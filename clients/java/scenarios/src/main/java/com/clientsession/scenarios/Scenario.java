package com.clientsession.scenarios;

import com.clientsession.BearerToken;
import com.clientsession.v1.ClientSessionServiceGrpc;
import com.clientsession.v1.GrantAccessRequest;
import com.clientsession.v1.GrantAccessResponse;
import com.google.gson.JsonObject;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.util.JsonFormat;
import io.grpc.Channel;
import io.grpc.Metadata;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.health.v1.HealthCheckRequest;
import io.grpc.health.v1.HealthGrpc;
import io.grpc.reflection.v1.ServerReflectionGrpc;
import io.grpc.reflection.v1.ServerReflectionRequest;
import io.grpc.reflection.v1.ServerReflectionResponse;
import io.grpc.reflection.v1.ServiceResponse;
import io.grpc.stub.MetadataUtils;
import io.grpc.stub.StreamObserver;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;

/** Makes the call of a scenario and compares its result with what the scenario expects. */
final class Scenario {
  private static final int STREAM_DEADLINE_MS = 10_000;
  private static final String BEARER = "Bearer ";

  private final Channel channel;

  Scenario(Channel channel) {
    this.channel = channel;
  }

  /** Returns what was not as expected: nothing, if all was. */
  List<String> run(JsonObject scenario) throws InvalidProtocolBufferException {
    // What this does not understand, it cannot check, and must not pass over.
    Expectations expect = new Expectations(scenario.getAsJsonObject("expect"));
    expect.onlyMembers(
        "scenario", scenario, Set.of("name", "fault", "rpc", "metadata", "deadline_ms", "request", "expect"));
    String rpc = scenario.get("rpc").getAsString();
    switch (rpc) {
      case "GrantAccess" -> grantAccess(scenario, expect);
      case "Health" -> health(expect);
      case "Reflection" -> reflection(expect);
      default -> throw new IllegalArgumentException("unknown rpc " + rpc);
    }
    return expect.failures();
  }

  private void grantAccess(JsonObject scenario, Expectations expect) throws InvalidProtocolBufferException {
    AtomicReference<Metadata> headers = new AtomicReference<>();
    AtomicReference<Metadata> trailers = new AtomicReference<>();
    var stub =
        ClientSessionServiceGrpc.newBlockingStub(channel)
            .withInterceptors(MetadataUtils.newCaptureMetadataInterceptor(headers, trailers));
    Metadata metadata = new Metadata();
    for (var entry : scenario.getAsJsonObject("metadata").entrySet()) {
      String value = entry.getValue().getAsString();
      if (entry.getKey().equals("authorization") && value.startsWith(BEARER)) {
        stub = stub.withCallCredentials(new BearerToken(value.substring(BEARER.length())));
      } else {
        metadata.put(Metadata.Key.of(entry.getKey(), Metadata.ASCII_STRING_MARSHALLER), value);
      }
    }
    stub = stub.withInterceptors(MetadataUtils.newAttachHeadersInterceptor(metadata));
    if (scenario.has("deadline_ms")) {
      stub = stub.withDeadlineAfter(scenario.get("deadline_ms").getAsInt(), TimeUnit.MILLISECONDS);
    }
    GrantAccessRequest.Builder request = GrantAccessRequest.newBuilder();
    JsonFormat.parser().merge(scenario.get("request").toString(), request);
    try {
      GrantAccessResponse response = stub.grantAccess(request.build());
      if (expect.code(Status.Code.OK)) {
        JsonFormat.Printer printer =
            JsonFormat.printer().preservingProtoFieldNames().alwaysPrintFieldsWithNoPresence();
        expect.session(printer.print(response.getClientSession()));
      }
    } catch (StatusRuntimeException e) {
      if (expect.code(e.getStatus().getCode())) {
        expect.error(e, trailers.get());
      } else {
        expect.fail("the error was: " + e.getStatus());
      }
    }
  }

  private void health(Expectations expect) {
    var stub = HealthGrpc.newBlockingStub(channel);
    // The empty name is the server as a whole.
    for (String service : List.of("", ClientSessionServiceGrpc.SERVICE_NAME)) {
      try {
        var response = stub.check(HealthCheckRequest.newBuilder().setService(service).build());
        expect.code(Status.Code.OK);
        expect.equal("status of \"" + service + "\"", expect.text("status"), response.getStatus().name());
      } catch (StatusRuntimeException e) {
        expect.code(e.getStatus().getCode());
      }
    }
    expect.onlyExpected(Set.of("code", "status"));
  }

  private void reflection(Expectations expect) {
    var stub = ServerReflectionGrpc.newStub(channel).withDeadlineAfter(STREAM_DEADLINE_MS, TimeUnit.MILLISECONDS);
    CompletableFuture<ServerReflectionResponse> first = new CompletableFuture<>();
    StreamObserver<ServerReflectionRequest> requests = stub.serverReflectionInfo(firstInto(first));
    requests.onNext(ServerReflectionRequest.newBuilder().setListServices("").build());
    requests.onCompleted();
    // The deadline of the call ends the wait too.
    Status.Code code = first.handle((response, error) -> Status.fromThrowable(orOk(error)).getCode()).join();
    if (expect.code(code) && code == Status.Code.OK) {
      expect.services(
          first.join().getListServicesResponse().getServiceList().stream().map(ServiceResponse::getName).toList());
    }
    expect.onlyExpected(Set.of("code", "services"));
  }

  private static Throwable orOk(Throwable error) {
    return error == null ? Status.OK.asRuntimeException() : error;
  }

  private static <T> StreamObserver<T> firstInto(CompletableFuture<T> future) {
    return new StreamObserver<>() {
      @Override
      public void onNext(T value) {
        future.complete(value);
      }

      @Override
      public void onError(Throwable error) {
        future.completeExceptionally(error);
      }

      @Override
      public void onCompleted() {
        // A stream that ends without a response; after a response, this changes nothing.
        future.completeExceptionally(Status.INTERNAL.withDescription("no response").asRuntimeException());
      }
    };
  }
}
