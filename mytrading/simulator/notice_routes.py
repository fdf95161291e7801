"""REST handlers of messages to people, which a simulator only pretends to send.

Used by the dispatcher, so that programs which notify through OpenAlgo run unchanged. The one rule: nothing leaves this
machine.
"""

from __future__ import annotations

from mytrading.simulator.call import Call
from mytrading.simulator.reply import Reply, error, success


async def telegram(_call: Call) -> Reply:
    """Taken, as by a server whose bot runs and knows the user."""
    return success(message="Notification queued")


async def whatsapp(_call: Call) -> Reply:
    """Refused, as by a server that was never paired with a phone."""
    return error(409, "WhatsApp is not paired or not connected. Pair the device with OpenAlgo before sending.")
