from __future__ import annotations

from vidcam.models import kinetics400


def test_kinetics400_is_complete_and_alphabetical() -> None:
    labels = kinetics400()
    assert len(set(labels)) == 400
    assert list(labels) == sorted(labels)
    assert [labels[i] for i in (0, 6, 399)] == ["abseiling", "arm wrestling", "zumba"]
