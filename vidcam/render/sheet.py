"""Content of a contact sheet: the moments with the most evidence, a row of overlays for each map, evidence over time.

A sheet has one block for each target of a model, or for each of several models. `sheet_drawing` draws it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np

from vidcam.media import Seconds
from vidcam.render.colormap import ColourTable
from vidcam.render.overlay import Frame
from vidcam.render.strip import TimeStrip
from vidcam.results.verdict import Verdict, VerdictWord

SheetFormat = Literal["png", "svg", "pdf"]
SHEET_FORMATS: tuple[SheetFormat, ...] = get_args(SheetFormat)


@dataclass(frozen=True, slots=True)
class ClassLine:
    """One line of the heading: a class and its probability.

    Attributes:
        name: the class, or the model and its class.
        probability: in [0, 1]; NaN if the model returns values.
        note: such as 'top class' or 'not explained'.
    """

    name: str
    probability: float
    note: str = ""


@dataclass(frozen=True, slots=True)
class Moment:
    """One column.

    Attributes:
        seconds: its time.
        note: such as 'most evidence'.
        top_class: top class of the window, if it is not the explained one; else empty.
    """

    seconds: float
    note: str = ""
    top_class: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class SheetRow:
    """One map.

    Attributes:
        name: its method.
        frames: an overlay (H, W, 3) uint8 for each moment.
        curve: name of its curve in the strip of the block.
        word: its verdict.
        note: such as the methods with the same map.
    """

    name: str
    frames: Sequence[Frame] = field(repr=False)
    curve: str
    word: VerdictWord
    note: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class SheetBlock:
    """The maps of one target or of one model.

    Attributes:
        name: heading of its rows and of its strip; not shown if the sheet has one block.
        rows: at least one map.
        strip: evidence and probability over time.
        has_windows: whether the strip shows the windows with their top classes.
    """

    name: str
    rows: Sequence[SheetRow]
    strip: TimeStrip
    has_windows: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Sheet:
    """The content of a contact sheet.

    Attributes:
        title: name of the file.
        subtitle: names of the model and the layer.
        verdicts: name and verdict of each map, at the top.
        remarks: sentences below them.
        classes: the explained classes with their probabilities.
        moments: the columns, 1 to about 8.
        source_frames: a frame (H, W, 3) uint8 for each moment.
        blocks: at least one.
        table: colour table of the evidence, (256, 3) uint8.
        facts: further sentences, at the bottom.
    """

    title: str
    subtitle: str
    verdicts: Sequence[tuple[str, Verdict]]
    remarks: Sequence[str]
    classes: Sequence[ClassLine]
    moments: Sequence[Moment]
    source_frames: Sequence[Frame] = field(repr=False)
    blocks: Sequence[SheetBlock]
    table: ColourTable = field(repr=False)
    facts: Sequence[str] = ()

    @property
    def seconds(self) -> Seconds:
        """(F,) times of the columns."""
        return np.array([moment.seconds for moment in self.moments])
