"""The onboarding of a business: 23 pages, each of which keeps whatever it asks."""

from datetime import timedelta

from chalicelib.flows.flow import Flow, Step

flow = Flow(
    name="onboarding",
    version=1,
    title="Business onboarding",
    ttl=timedelta(days=7),
    document="businessContext",
    steps=(
        Step("welcome", "Welcome"),
        Step("company", "Your company"),
        Step("industry", "Industry"),
        Step("size", "Company size"),
        Step("locations", "Locations"),
        Step("mission", "Mission and vision"),
        Step("products", "Products and services"),
        Step("pricing", "Pricing"),
        Step("customers", "Customers"),
        Step("segments", "Market segments"),
        Step("competitors", "Competitors"),
        Step("positioning", "Positioning"),
        Step("brand", "Brand and voice"),
        Step("channels", "Sales channels"),
        Step("marketing", "Marketing"),
        Step("team", "Team"),
        Step("tools", "Tools and systems"),
        Step("processes", "Processes"),
        Step("finance", "Finance"),
        Step("compliance", "Compliance"),
        Step("goals", "Goals"),
        Step("challenges", "Challenges"),
        Step("review", "Review"),
    ),
)
