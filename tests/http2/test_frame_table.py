"""Each type of frame in each state of a stream, valid and invalid: who fails, and who doesn't."""

import pytest
from frame_play import Row, State, play
from frame_rows import ROWS
from h2_client_kit import quiet_loop

CASES = [
    pytest.param(row, state, id=f"{row.name}, {state}, {row.section}")
    for row in ROWS
    for state in row.outcomes
]


@pytest.mark.parametrize(("row", "state"), CASES)
async def test_a_frame_costs_what_the_standard_says(row: Row, state: State) -> None:
    """Nothing, one request, or the connection with an error code; never a hang."""
    with quiet_loop():
        outcome = await play(row, state)
    assert any(expected.covers(outcome) for expected in row.outcomes[state]), outcome
