"""REST handlers of what a server says of itself, and of the settings that charts keep in it.

Used by the dispatcher; probes ask without a key. The one rule: a chart's settings are kept as they came, and are gone
with the process.
"""

from __future__ import annotations

from mytrading.simulator.call import Call
from mytrading.simulator.reply import Reply, error, success

MOST_SETTINGS = 1_000


async def root(_call: Call) -> Reply:
    """Who answers here."""
    return success(message="The simulator of MyTrading; its routes are those of /api/v1")


async def health(_call: Call) -> Reply:
    """That it serves."""
    return Reply(200, {"status": "pass"})


async def setup(_call: Call) -> Reply:
    """That nobody has to set it up."""
    return success(needs_setup=False)


async def swagger(call: Call) -> Reply:
    """The routes, as far as a probe looks."""
    paths = {f"/{name}/": {"post": {"tags": [name]}} for name in call.venue.routes}
    return Reply(200, {"swagger": "2.0", "basePath": "/api/v1", "info": {"title": "OpenAlgo API"}, "paths": paths})


async def chart(call: Call) -> Reply:
    """The settings that were stored."""
    return success(data=call.venue.chart)


async def store_chart(call: Call) -> Reply:
    """Store settings beside those there are."""
    kept = call.venue.chart
    given = {name: value for name, value in call.fields.items() if name != "apikey"}
    if not given:
        return error(400, "No preferences provided to update")
    if len(kept.keys() | given.keys()) > MOST_SETTINGS:
        return error(400, f"expected at most {MOST_SETTINGS} settings of charts in all; store fewer")
    kept.update(given)
    return success(message="Preferences updated successfully")
