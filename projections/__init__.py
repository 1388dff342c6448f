"""The views: tables made from events, and the queries on them."""
