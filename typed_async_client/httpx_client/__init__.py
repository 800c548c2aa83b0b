"""The httpx client that a resilient one sends through: built here, or brought by the user."""
