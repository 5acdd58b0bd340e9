"""What a yes would cost, so that a person who is asked knows it: the canary, then each month, then the predictions."""

from shared.costs import amount, canary, idle_month, million_predictions, sizes
from shared.events import CostOf, Costs
from shared.prices import PriceTable
from shared.settings import Settings


def forecast(table: PriceTable, settings: Settings) -> Costs:
    """The costs of a model with these settings where it is served."""
    size = sizes(settings)
    found = [each(table, size, settings.serving.backend) for each in (canary, idle_month, million_predictions)]
    of = tuple(CostOf(what=cost.what, dollars=cost.dollars) for cost in found)
    return Costs(as_of=table.as_of, region=table.region, of=of)


def told_costs(costs: Costs) -> str:
    """The same in words, as one line of a notice."""
    parts = ", ".join(f"{each.what} {amount(each.dollars)}" for each in costs.of)
    return f"costs, at list prices of {costs.as_of} in {costs.region}: {parts}"
