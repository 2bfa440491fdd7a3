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
from gateway.telemetry.canary_metrics import Role


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
                versions=[_describe(version, served) for version in versions],
            )
            for model, versions in served.models.items()
        ],
        unusable=[
            UnusableVersion(model=row.served.model, version=row.served.version, reason=row.reason)
            for row in served.unusable
        ],
    )


def _describe(version: Version, served: ServedModels) -> VersionDescription:
    card = version.card
    role, share = _role_and_share(version, served)
    return VersionDescription(
        version=version.version,
        default=version is served.default_version(version.model),
        role=role,
        share=share,
        base_model=card.base_model,
        max_length=card.max_length,
        max_batch_size=version.max_batch_size,
        profiles=dict(card.profiles),
        metrics=card.metrics,
        licence=card.licence,
    )


def _role_and_share(version: Version, served: ServedModels) -> tuple[Role | None, float]:
    """What a version does while the newest is on trial, and its share of the requests that name no version."""
    canary = served.canaries.get(version.model)
    if canary is not None and version is canary.challenger:
        return ("shadow" if canary.trial.kind == "shadow" else "canary"), canary.trial.share
    if canary is not None and version is canary.default:
        return "default", round(1 - canary.trial.share, 6)
    return None, float(version is served.default_version(version.model))
