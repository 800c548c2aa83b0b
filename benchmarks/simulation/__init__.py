"""Simulations of the policies on a virtual clock; ``simulate.py`` runs them."""
