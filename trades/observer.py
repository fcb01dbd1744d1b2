"""What a store tells of its work, for whoever wants to measure it."""


class StoreObserver:
    """Does nothing: derive from it to count.

    A store calls it from the threads that use the store, once a call or a group, never once a trade. Nothing
    here may raise. Words are of bounded sets, so that they can be labels of a metric.
    """

    def called(self, call: str, seconds: float) -> None:
        """A call of the server, or a transaction, took this long, whatever became of it."""

    def failed(self, error: str, times: int, in_doubt: int) -> None:
        """Calls or records failed with `error`; of `in_doubt` of them nobody knows if they were done."""

    def retried(self, records: int) -> None:
        """Records are sent once more, because the server was busy with them."""

    def applied(self, shard: int, trades: int, most_marks: int) -> None:
        """Trades were put into the records of a shard; the fullest of these now has so many marks."""

    def trimmed(self, marks: int) -> None:
        """Marks were removed, all with one raise of the trim counter."""


SILENT = StoreObserver()
