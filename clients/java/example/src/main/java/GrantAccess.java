import com.clientsession.ClientSessionChannel;
import com.clientsession.ClientSessionError;
import com.clientsession.Reason;
import com.clientsession.v1.ClientSessionServiceGrpc;
import com.clientsession.v1.ClientSessionServiceGrpc.ClientSessionServiceBlockingStub;
import com.clientsession.v1.CreateRequest;
import com.clientsession.v1.GrantAccessRequest;
import io.grpc.ManagedChannel;
import io.grpc.StatusRuntimeException;
import java.util.concurrent.TimeUnit;

/** Grants the client session of a user access to a connected account, and creates the session if there is none. */
public final class GrantAccess {
  public static void main(String[] arguments) {
    ManagedChannel channel = ClientSessionChannel.connect(arguments[0], System.getenv("SEAM_API_KEY"));
    try {
      grant(ClientSessionServiceGrpc.newBlockingStub(channel), arguments[1], arguments[2]);
    } catch (StatusRuntimeException e) {
      System.err.println(ClientSessionError.of(e));
      System.exit(1);
    } finally {
      channel.shutdownNow();
    }
  }

  private static void grant(ClientSessionServiceBlockingStub sessions, String user, String account) {
    try {
      sessions = sessions.withDeadlineAfter(5, TimeUnit.SECONDS); // For both calls together. The default is 10 s each.
      var request = GrantAccessRequest.newBuilder().setUserIdentifierKey(user).addConnectedAccountIds(account);
      System.out.println("granted: " + sessions.grantAccess(request.build()).getClientSession().getClientSessionId());
    } catch (StatusRuntimeException e) {
      if (!ClientSessionError.of(e).reason().equals(Reason.CLIENT_SESSION_NOT_FOUND)) throw e;
      var request = CreateRequest.newBuilder().setUserIdentifierKey(user).addConnectedAccountIds(account);
      System.out.println("created: " + sessions.create(request.build()).getClientSession().getClientSessionId());
    }
  }
}
