from __future__ import annotations

import numpy as np

from vidcam.motion.draws import Draws


def test_draws_use_the_doubles_of_the_stream_in_order() -> None:
    stream = np.random.Generator(np.random.PCG64(np.random.SeedSequence((3, 1)))).random(8)
    draws = Draws(3, 1)
    assert draws.uniform(2.0, 4.0) == 2.0 + 2.0 * stream[0]
    assert draws.integer(5, 7) == 5 + int(3 * stream[1])
    assert draws.choice("abcd") == "abcd"[int(4 * stream[2])]
    np.testing.assert_array_equal(draws.uniforms(0.0, 1.0, 2, 2).ravel(), stream[3:7])


def test_integers_include_both_ends() -> None:
    draws = Draws(0)
    assert {draws.integer(1, 3) for _ in range(60)} == {1, 2, 3}


def test_the_first_draw_of_seed_0_never_changes() -> None:
    assert Draws(0).uniform(0.0, 1.0) == 0.6369616873214543
