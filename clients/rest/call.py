"""Makes the calls that standard input has, one a line, with the client of openapi-python-client."""

import json
import sys

import httpx

from generated.seam_rest import Client
from generated.seam_rest.api.client_session_service import grant_access
from generated.seam_rest.models import Error, GrantAccessRequest, GrantAccessResponse


def grant(url, metadata, request, seconds):
    client = Client(base_url=url, headers=metadata, timeout=httpx.Timeout(seconds))
    try:
        response = grant_access.sync_detailed(client=client, body=GrantAccessRequest.from_dict(request))
    except httpx.TimeoutException:
        return {"timeout": True}
    seen = {"status": response.status_code, "headers": dict(response.headers)}
    match response.parsed:
        case GrantAccessResponse(client_session=session):
            return seen | {"session": session.to_dict()}
        case Error(error=error):
            return seen | {"error": error.to_dict()}
    return seen


for line in sys.stdin:
    print(json.dumps(grant(**json.loads(line))), flush=True)
