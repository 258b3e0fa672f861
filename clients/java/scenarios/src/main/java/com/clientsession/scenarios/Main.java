package com.clientsession.scenarios;

import com.clientsession.ClientSessionChannel;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;

/**
 * Runs the scenarios that the clients in every language run, against a service with its sandbox. Takes the file of
 * scenarios as its argument, and {@code GRPC_ADDRESS} and {@code SANDBOX_URL} from the environment.
 */
public final class Main {
  private static final Duration CONTROL_TIMEOUT = Duration.ofSeconds(10);

  // Version 1.1, because a client that offers HTTP/2 in plain text first sends a request to upgrade.
  private static final HttpClient HTTP =
      HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).connectTimeout(CONTROL_TIMEOUT).build();

  private Main() {}

  public static void main(String[] arguments) throws IOException, InterruptedException {
    String address = System.getenv("GRPC_ADDRESS");
    String sandbox = System.getenv("SANDBOX_URL");
    if (arguments.length != 1 || address == null || sandbox == null) {
      System.err.println(
          "usage: GRPC_ADDRESS=HOST:PORT SANDBOX_URL=http://HOST:PORT"
              + " java -jar client-session-scenarios.jar SCENARIOS.json");
      System.exit(2);
    }
    List<JsonElement> scenarios =
        JsonParser.parseString(Files.readString(Path.of(arguments[0]))).getAsJsonArray().asList();

    // Without a credential, since that is what the scenarios differ in.
    ManagedChannel channel = ClientSessionChannel.builder(address, InsecureChannelCredentials.create()).build();
    Scenario runner = new Scenario(channel);
    int passed = 0;
    for (JsonElement element : scenarios) {
      JsonObject scenario = element.getAsJsonObject();
      List<String> failures = run(runner, sandbox, scenario);
      System.out.println((failures.isEmpty() ? "ok    " : "FAIL  ") + scenario.get("name").getAsString());
      failures.forEach(failure -> System.out.println("      " + failure));
      passed += failures.isEmpty() ? 1 : 0;
    }
    channel.shutdownNow();
    int failed = scenarios.size() - passed;
    System.out.printf("%d passed, %d failed%n", passed, failed);
    // No scenario at all is a failure too: it proves nothing.
    System.exit(failed == 0 && passed > 0 ? 0 : 1);
  }

  /** Returns what was not as expected. A scenario that breaks is a failure of its own and does not end the others. */
  private static List<String> run(Scenario runner, String sandbox, JsonObject scenario) throws InterruptedException {
    try {
      control(sandbox, "reset", "");
      if (scenario.has("fault")) {
        control(sandbox, "faults", scenario.get("fault").toString());
      }
      return runner.run(scenario);
    } catch (IOException | RuntimeException e) {
      return List.of("broke: " + e);
    }
  }

  /** Controls the sandbox, whose refusal of a fault must not pass for a scenario without one. */
  private static void control(String sandbox, String route, String body) throws IOException, InterruptedException {
    HttpRequest request =
        HttpRequest.newBuilder(URI.create(sandbox + "/_sandbox/" + route))
            .timeout(CONTROL_TIMEOUT)
            .POST(BodyPublishers.ofString(body))
            .build();
    HttpResponse<String> response = HTTP.send(request, BodyHandlers.ofString());
    if (response.statusCode() != 200) {
      throw new IOException(
          "the sandbox responds with %d to %s: %s".formatted(response.statusCode(), route, response.body().strip()));
    }
  }
}
