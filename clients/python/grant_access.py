import os
import sys

import clientsession
from clientsession.v1 import client_session_service_pb2 as pb
from clientsession.v1 import client_session_service_pb2_grpc as pb_grpc

address, session_id, account_id = sys.argv[1:]
with clientsession.connect(address, os.environ["SEAM_API_KEY"]) as channel:
    sessions = pb_grpc.ClientSessionServiceStub(channel)

    def grant(session_id: str) -> pb.GrantAccessResponse:
        request = pb.GrantAccessRequest(client_session_id=session_id, connected_account_ids=[account_id])
        return sessions.GrantAccess(request, timeout=5)

    try:
        try:
            granted = grant(session_id)
        except clientsession.Error as error:
            if error.reason != clientsession.Reason.CLIENT_SESSION_NOT_FOUND:
                raise
            created = sessions.Create(pb.CreateRequest(user_identifier_key="jane_doe"), timeout=5)
            granted = grant(created.client_session.client_session_id)
    except clientsession.Error as error:
        sys.exit(str(error))
    print(granted.client_session.client_session_id, granted.client_session.device_count)
