"""The Aerospike adapter of the store port. Only this package imports the Aerospike client."""

from trades.stores.aerospike.cluster import Cluster, ClusterOptions
from trades.stores.aerospike.layout import Names
from trades.stores.aerospike.store import AerospikeStore

__all__ = ["AerospikeStore", "Cluster", "ClusterOptions", "Names"]
