"""The read API and the page: one Flask application over the store, served as the function `query`."""
