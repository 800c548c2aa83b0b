"""The life of a request, and those who carry it: flow, drivers, flights, monitor, ledger."""
