"""Bytes and the parts in which they may arrive, for the tests of parsers."""

import itertools

from hypothesis import strategies as st

__all__ = ["parts_of", "split_bytes"]


def parts_of(data: bytes, cuts: list[int]) -> list[bytes]:
    """Cut data at some positions."""
    bounds = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(bounds)]


def split_bytes(pieces: list[bytes]) -> st.SearchStrategy[tuple[bytes, list[bytes]]]:
    """Generate data made of some pieces, and the parts in which it arrives."""
    joined = st.lists(st.sampled_from(pieces), max_size=30).map(b"".join)
    cuts = st.lists(st.integers(min_value=0, max_value=200), max_size=12)
    return st.tuples(joined, cuts).map(lambda pair: (pair[0], parts_of(*pair)))
