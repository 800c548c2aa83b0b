"""The random part of a delay."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from typed_async_client.policies.backoff import Backoff
from typed_async_client.policies.jitter import FORMULAS, Draw

BACKOFF = Backoff(base_delay=1.0, factor=2.0, max_delay=60.0)


@pytest.mark.parametrize(
    ("jitter", "lowest", "middle", "highest"),
    [
        ("none", 8.0, 8.0, 8.0),
        ("full", 0.0, 4.0, 8.0),
        ("equal", 4.0, 6.0, 8.0),
        ("proportional", 6.4, 8.0, 9.6),
        ("decorrelated", 1.0, 8.0, 15.0),
    ],
)
def test_each_jitter_has_its_own_range(
    jitter: str, lowest: float, middle: float, highest: float
) -> None:
    """The fourth retry, 8 seconds without jitter, after a delay of 5 seconds."""
    delays = [
        FORMULAS[jitter](BACKOFF, Draw(retry=4, random=r, previous=5.0)) for r in (0, 0.5, 1 - 1e-9)
    ]
    assert delays == pytest.approx([lowest, middle, highest])


@pytest.mark.parametrize(
    ("previous", "expected"), [(None, 2.0), (0.0, 2.0), (1.0, 2.0), (10.0, 15.5), (1e308, 60.0)]
)
def test_a_decorrelated_delay_grows_with_the_previous_one(
    previous: float | None, expected: float
) -> None:
    """It starts from the base delay, and is capped."""
    draw = Draw(retry=2, random=0.5, previous=previous)
    assert FORMULAS["decorrelated"](BACKOFF, draw) == expected


@pytest.mark.parametrize("jitter", FORMULAS)
@given(
    st.builds(
        Backoff,
        base_delay=st.floats(0, 1e308),
        factor=st.floats(1, 1e308),
        max_delay=st.floats(0, 1e308),
    ),
    st.builds(
        Draw,
        retry=st.integers(1, 2000),
        random=st.floats(0, 1, exclude_max=True),
        previous=st.none() | st.floats(0, 1e308),
    ),
)
def test_every_delay_is_finite_and_within_its_limits(
    jitter: str, backoff: Backoff, draw: Draw
) -> None:
    """Whatever the options and however many retries there were."""
    delay = FORMULAS[jitter](backoff, draw)
    assert math.isfinite(delay)
    assert 0 <= delay <= backoff.max_delay


@pytest.mark.parametrize("retry", [1, 3, 2000])
def test_full_jitter_is_uniform(retry: int) -> None:
    """10,000 draws pass a Kolmogorov-Smirnov test at p = 0.01, whose limit is 1.63 / sqrt(n)."""
    numbers = random.Random(7)
    count = 10_000
    draws = (Draw(retry=retry, random=numbers.random()) for _ in range(count))
    ceiling = BACKOFF.ceiling(retry)
    shares = sorted(FORMULAS["full"](BACKOFF, draw) / ceiling for draw in draws)
    distance = max(
        max(share - i / count, (i + 1) / count - share) for i, share in enumerate(shares)
    )
    assert distance < 1.63 / math.sqrt(count)
