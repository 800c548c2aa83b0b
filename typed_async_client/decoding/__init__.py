"""Decodes the bodies of responses as the types that callers ask for with ``response_model``."""
