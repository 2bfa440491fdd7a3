"""What the endpoints work with, and how they come by it."""

from dataclasses import dataclass

from fastapi import Request

from gateway.api.schemas import Limits
from gateway.http.admission import Admission
from gateway.http.bodies import BodyReader
from gateway.inference.pipeline import InferencePipeline
from gateway.models.catalogue import Catalogue
from gateway.models.readiness import Readiness
from gateway.telemetry.metrics import Metrics


@dataclass(frozen=True)
class Services:
    """Everything that lives as long as the application does."""

    limits: Limits
    default_model: str
    catalogue: Catalogue
    readiness: Readiness
    pipeline: InferencePipeline
    admission: Admission
    bodies: BodyReader
    metrics: Metrics


def get_services(request: Request) -> Services:
    """The application's services, of a request."""
    found: Services = request.app.state.services
    return found
