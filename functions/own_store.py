"""A store of a function's own, beside the pipeline's and of its kind: same port, same promise.

`count_trades` on it counts an event once, whatever comes twice and however many pods count at once.
"""

import os
from pathlib import Path

from functions.stores import open_store
from runtime.settings import AerospikeSettings, StoreSettings
from trades.store import StoreMisconfigured, TradeStore


def data_folder() -> Path:
    """FUNCTION_DATA, a folder that outlives the process; `tradewind attach` gives each function one.

    Raises StoreMisconfigured in a pod to which nobody gave one: its own disk is gone when it scales to zero.
    """
    folder = os.environ.get("FUNCTION_DATA", "" if "K_SERVICE" in os.environ else ".")
    if not folder:
        raise StoreMisconfigured(
            "this function keeps a file: mount a volume, set FUNCTION_DATA to it, and max-scale to 1"
        )
    return Path(folder)


def own_store(name: str) -> TradeStore:
    """It connects at its first use. SQLite: the folder `name` in FUNCTION_DATA; Aerospike: sets of that name.

    Raises StoreMisconfigured.
    """
    settings = StoreSettings.read()
    if settings.store.startswith("sqlite:"):
        return open_store(f"sqlite:{data_folder() / name}", settings, AerospikeSettings.read())
    sets = {
        "aerospike_trades_set": f"{name}Trades",
        "aerospike_events_set": f"{name}Events",
        "aerospike_summary_set": name,
    }
    return open_store(settings.store, settings, AerospikeSettings.read(**sets))
