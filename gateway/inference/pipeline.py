"""From a query to probabilities: find the version, and have it asked."""

from gateway.errors.triton_errors import TritonError
from gateway.inference.challenger import ChallengerCalls
from gateway.inference.query import Query
from gateway.inference.version_inference import InferenceResult, VersionInference
from gateway.models.canary import Canary
from gateway.models.catalogue import Catalogue
from gateway.models.versions import Version
from gateway.telemetry.request_record import RequestRecord


class InferencePipeline:
    """Answers queries; holds nothing of one between calls."""

    def __init__(
        self, inference: VersionInference, challengers: ChallengerCalls, catalogue: Catalogue, default_model: str
    ) -> None:
        self._inference = inference
        self._challengers = challengers
        self._catalogue = catalogue
        self._default_model = default_model

    async def infer(self, query: Query, deadline: float, record: RequestRecord) -> InferenceResult:
        """Probabilities of every text.

        Args:
            query: its texts within the limits.
            deadline: on the event loop's clock.
            record: told what is learnt.

        Raises:
            Problem: 404, no such model or version; 422, no such profile, or a text is too
                long and may not be cut.
            TritonError: Triton failed.
        """
        model, by_default = query.model or self._default_model, query.model is None
        version = await self._catalogue.find(model, query.version, by_default=by_default)
        if self._catalogue.served.canaries and query.version is None:
            canary = self._catalogue.served.canaries.get(version.model)
            if canary is not None:
                return await self._infer_with_canary(canary, query, deadline, record)
        return await self._infer(version, query, deadline, record)

    async def _infer(self, version: Version, query: Query, deadline: float, record: RequestRecord) -> InferenceResult:
        try:
            return await self._inference.infer(version, query, deadline, record)
        except TritonError as error:
            if not error.may_be_unloaded:
                raise
            await self._catalogue.refresh(max_age=0)
            model, by_default = query.model or self._default_model, query.model is None
            now = self._catalogue.served.find(model, query.version, by_default=by_default)
            # Asking again is safe, since an answer changes nothing, but only another
            # version can answer better: a full queue would get fuller.
            if now.version == version.version:
                raise
        return await self._inference.infer(now, query, deadline, record)

    async def _infer_with_canary(
        self, canary: Canary, query: Query, deadline: float, record: RequestRecord
    ) -> InferenceResult:
        answered = await self._challengers.answer(canary, query, deadline, record)
        if answered is None:
            record.role = "default"
            answered = await self._infer(canary.default, query, deadline, record)
            self._challengers.answered_by_default(canary, query, answered)
        return answered
