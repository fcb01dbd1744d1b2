"""One module a function, and `compose`, the one place where they are put together with a store."""
