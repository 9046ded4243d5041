"""Help in sections: an option says to which it belongs. Options that do not go together are refused."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import click
from click.core import ParameterSource

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

_OTHER = "Other"
_WIDEST_NAMES = 30


class SectionOption(click.Option):
    """An option that stands in a section of the help.

    Args:
        section: title of the section.
    """

    def __init__(self, *args: Any, section: str = _OTHER, **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self.section = section


class SectionCommand(click.Command):
    """A command whose help lists options by section, in the order in which they were declared."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write one list of options for each section."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None and isinstance(parameter, click.Option):
                sections.setdefault(getattr(parameter, "section", _OTHER), []).append(record)
        records = [record for section in sections.values() for record in section]
        width = min(max(len(names) for names, _ in records), _WIDEST_NAMES)
        for title, rows in sections.items():
            with formatter.section(title):
                names, text = rows[0]
                formatter.write_dl([(names.ljust(width), text), *rows[1:]], col_max=_WIDEST_NAMES)


class OrderedGroup(click.Group):
    """A group whose help lists commands in the order in which they were added."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 – click's signature
        """Names of the commands."""
        return list(self.commands)


def section(title: str) -> Callable[..., Decorator]:
    """`click.option` for the options of one section."""

    def option(*names: str, **attributes: Any) -> Decorator:
        return click.option(*names, cls=SectionOption, section=title, **attributes)

    return option


def require_only(names: Collection[str], with_what: str) -> None:
    """Refuse options of the running command that have no meaning together with another.

    Args:
        names: parameters that may be given.
        with_what: the other option, for the message.

    Raises:
        UsageError: an option that is not among the names was given.
    """
    context = click.get_current_context()
    for parameter in context.command.params:
        name = parameter.name or ""
        if name not in names and context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            raise click.UsageError(f"{parameter.opts[0]} has no meaning with {with_what}")
