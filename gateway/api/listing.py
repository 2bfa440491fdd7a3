"""What is served, described for `GET /v1/models`."""

from contract.labels import LABELS
from contract.version_directory import Label
from gateway.api.schemas import (
    Limits,
    ModelDescription,
    ModelsResponse,
    UnusableVersion,
    VersionDescription,
)
from gateway.models.catalogue import ServedModels
from gateway.models.versions import Version


def list_models(served: ServedModels, limits: Limits, default_model: str) -> ModelsResponse:
    """Every model and version, with the figures from their cards."""
    default = served.model_name(default_model)
    return ModelsResponse(
        labels=[Label(en=en, ru=ru) for en, ru in LABELS.items()],
        limits=limits,
        models=[
            ModelDescription(
                model=model,
                default=model == default,
                versions=[_describe(version, default=version is versions[0]) for version in versions],
            )
            for model, versions in served.models.items()
        ],
        unusable=[
            UnusableVersion(model=row.served.model, version=row.served.version, reason=row.reason)
            for row in served.unusable
        ],
    )


def _describe(version: Version, *, default: bool) -> VersionDescription:
    card = version.card
    return VersionDescription(
        version=version.version,
        default=default,
        base_model=card.base_model,
        max_length=card.max_length,
        max_batch_size=version.max_batch_size,
        profiles=dict(card.profiles),
        metrics=card.metrics,
        licence=card.licence,
    )
