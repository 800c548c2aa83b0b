"""Runs requests: the flow and its drivers, the requests in flight, events and results."""
