"""What each gRPC status of Triton means for a client of the gateway: one table.

Triton gives its own errors as gRPC statuses too (UNAVAILABLE for a full queue or a model
that is not loaded, INVALID_ARGUMENT for a tensor it can't take), so the status is all that
is looked at; Triton's words go to the log.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import grpc

from gateway.errors import problems
from gateway.errors.problems import Problem


class TritonError(Exception):
    """A call to Triton failed.

    Attributes:
        code: the gRPC status.
        details: Triton's or gRPC's own words, for the log.
    """

    def __init__(self, code: grpc.StatusCode, details: str) -> None:
        super().__init__(f"{code.name}: {details}")
        self.code = code
        self.details = details

    def __copy__(self) -> "TritonError":
        return TritonError(self.code, self.details)

    @property
    def may_be_unloaded(self) -> bool:
        """Whether the model or version may have been unloaded since it was looked up."""
        return self.code in (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.UNAVAILABLE)

    @property
    def another_may_answer(self) -> bool:
        """Whether it is this Triton that starts, stops, is full or away, so that another one may answer the same."""
        return self.may_be_unloaded or self.code == grpc.StatusCode.CANCELLED


_GONE: Final = "Triton has just unloaded this model version: try again."
_BUSY: Final = "Triton is not there, or can't take more at the moment: try again."
_REFUSED: Final = "Triton does not let the gateway in: its operator has to look at the settings."
_WRONG: Final = "Triton answered numbers that are no probabilities, twice: try again."
_UNABLE: Final = "What answers at Triton's address can't serve this model in the way the gateway asks."

FAILURES: Final[Mapping[grpc.StatusCode, tuple[int, str]]] = MappingProxyType(
    {
        grpc.StatusCode.CANCELLED: (503, _BUSY),
        grpc.StatusCode.UNKNOWN: (500, ""),
        grpc.StatusCode.INVALID_ARGUMENT: (500, ""),
        grpc.StatusCode.DEADLINE_EXCEEDED: (504, ""),
        grpc.StatusCode.NOT_FOUND: (503, _GONE),
        grpc.StatusCode.ALREADY_EXISTS: (500, ""),
        grpc.StatusCode.PERMISSION_DENIED: (503, _REFUSED),
        grpc.StatusCode.UNAUTHENTICATED: (503, _REFUSED),
        grpc.StatusCode.RESOURCE_EXHAUSTED: (503, _BUSY),
        grpc.StatusCode.FAILED_PRECONDITION: (503, _BUSY),
        grpc.StatusCode.ABORTED: (503, _BUSY),
        grpc.StatusCode.OUT_OF_RANGE: (500, ""),
        grpc.StatusCode.UNIMPLEMENTED: (503, _UNABLE),
        grpc.StatusCode.INTERNAL: (500, ""),
        grpc.StatusCode.UNAVAILABLE: (503, _BUSY),
        grpc.StatusCode.DATA_LOSS: (503, _WRONG),
    }
)
"""gRPC status to HTTP status and, for 503, the sentence the client reads."""


def to_problem(error: TritonError, timeout: float) -> Problem:
    """The problem a client gets for a failed call.

    Args:
        error: the failure.
        timeout: seconds the whole request was given.
    """
    status, sentence = FAILURES[error.code]
    if status == 504:
        return problems.deadline_passed(timeout)
    if status == 503:
        return problems.unavailable(sentence)
    return problems.bug("Triton could not compute this request; the gateway's log says more.")
