from __future__ import annotations

import numpy as np

from vidcam.motion.draws import Draws


def test_draws_are_the_doubles_of_the_stream() -> None:
    stream = np.random.Generator(np.random.PCG64(np.random.SeedSequence((3, 1)))).random(8)
    draws = Draws(3, 1)
    assert draws.uniform(2.0, 4.0) == 2.0 + 2.0 * stream[0]
    assert draws.whole(5, 7) == 5 + int(3 * stream[1])
    assert draws.one_of("abcd") == "abcd"[int(4 * stream[2])]
    np.testing.assert_array_equal(draws.uniforms(0.0, 1.0, 2, 2).ravel(), stream[3:7])


def test_whole_numbers_reach_both_ends() -> None:
    draws = Draws(0)
    assert {draws.whole(1, 3) for _ in range(60)} == {1, 2, 3}


def test_the_stream_of_a_seed_is_known() -> None:
    assert Draws(0).uniform(0.0, 1.0) == 0.6369616873214543
