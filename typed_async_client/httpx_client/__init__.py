"""The httpx client that a resilient client sends through: built here, or supplied by the user."""
