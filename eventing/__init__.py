"""CloudEvents in and out, Knative trigger filters, the delivery table, and a local broker.

Nothing here knows about trades: the package could be installed alone.
"""

__version__ = "0.1.0"
