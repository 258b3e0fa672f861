"""The client of seam.clientsession.v1.ClientSessionService: channels, errors and, in `v1`, messages and stubs."""

from clientsession import aio
from clientsession.channel import connect
from clientsession.constants import SERVICE_CONFIG, Reason
from clientsession.error import Error, Violation

__all__ = ["SERVICE_CONFIG", "Error", "Reason", "Violation", "aio", "connect"]
