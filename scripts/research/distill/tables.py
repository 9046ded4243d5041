"""Tables in Markdown."""

from __future__ import annotations


def tables_text(runs):
    return str(len(runs))


def plan_text(runs, seeds):
    return str(len(runs))
