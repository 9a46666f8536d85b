"""The project wizard: what is to be built, where, for whom and when."""

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from chalicelib.flows.fields import Email, IsoDate, Phone
from chalicelib.flows.flow import Fieldset, Flow, Step

BuildingType = Literal[
    "office",
    "residential",
    "retail",
    "industrial",
    "healthcare",
    "education",
    "hospitality",
    "mixed-use",
    "other",
]
RequiredText = Annotated[str, Field(min_length=1)]


class Details(Fieldset):
    """What the project is."""

    projectName: Annotated[str, Field(min_length=1, max_length=200)]
    projectDescription: Annotated[str, Field(max_length=5000)] | None = None
    buildingType: BuildingType
    squareFootage: Annotated[float, Field(gt=0)]
    priority: Literal["low", "medium", "high"] = "medium"


class Building(Fieldset):
    """What the building is like."""

    numberOfFloors: Annotated[int, Field(ge=1, le=300)]
    numberOfZones: Annotated[int, Field(ge=1, le=10_000)]
    projectLocation: RequiredText


class Client(Fieldset):
    """Whom it is for."""

    clientName: RequiredText
    clientEmail: Email
    clientPhone: Phone | None = None


class Schedule(Fieldset):
    """When, and for how much."""

    estimatedStartDate: IsoDate
    estimatedEndDate: IsoDate
    budget: Annotated[float, Field(ge=0)]

    compared_with = {"estimatedEndDate": frozenset({"estimatedStartDate"})}  # noqa: RUF012

    @field_validator("estimatedEndDate")
    @classmethod
    def end_not_before_start(cls, end: IsoDate, info: ValidationInfo) -> IsoDate:
        """Compare the dates as soon as both are there, whatever else is missing."""
        start = info.data.get("estimatedStartDate")
        if start is not None and end < start:
            raise PydanticCustomError("end_before_start", "The end is before the start")
        return end


flow = Flow(
    name="project",
    version=1,
    title="New project",
    ttl=timedelta(hours=24),
    document="projectData",
    steps=(
        Step("details", "Project details", Details),
        Step("building", "Building", Building),
        Step("client", "Client", Client),
        Step("schedule", "Schedule and budget", Schedule),
    ),
)
