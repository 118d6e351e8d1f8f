"""What a fold that is trained elsewhere says of itself: dicts whose `event` is their kind.

`started` (process, and by Ray node), `epoch` (run, epoch, epochs, seconds), `trained` (run, epochs,
accuracy), `failed` (strategy, None for the whole fold; reason) and `done`.
"""

from collections.abc import Mapping
from typing import Any


def failure(reason: str, strategy: str | None = None) -> dict[str, Any]:
    """The event that a strategy failed, or with None the whole fold."""
    return {"event": "failed", "strategy": strategy, "reason": reason}


def is_last(event: Mapping[str, Any]) -> bool:
    """Whether a fold's events end with this one."""
    return event["event"] == "done" or (event["event"] == "failed" and event["strategy"] is None)
