"""Transports around other transports, for plain clients and async ones."""
