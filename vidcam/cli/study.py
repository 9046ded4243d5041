"""`vidcam study`: make the page of a study, serve it, collect the answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from vidcam.cli.console import Bar, print_rows, print_text, say
from vidcam.cli.help import OrderedGroup, SectionCommand, section
from vidcam.cli.options import JSON, PATH, RESULT, given_options
from vidcam.system.filenames import as_text
from vidcam.system.signals import loading

_clips, _questions, _details = section("Which clips and maps"), section("Questions"), section("Details")
_network = section("Network")


class _StudyGroup(OrderedGroup):
    """`vidcam study RESULTS -o study.html` is short for `vidcam study make`."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that is named, or `make`."""
        return super().resolve_command(ctx, args if args[0] in self.commands else ["make", *args])


@click.group(
    cls=_StudyGroup,
    short_help="Ask people which maps are better: page, server, analysis.",
    context_settings={"ignore_unknown_options": True},
)
def study() -> None:
    """Ask people which maps are better, and whether maps help them to see that a model is wrong.

    \b
    vidcam study make out/ -o study.html --truth clips.csv    write the page and its key
    vidcam study serve study.html                             give it to raters, keep their answers
    vidcam study collect answers/                             sum the answers up
    """  # noqa: D301 – click reads the \b as 'do not wrap'


@study.command(cls=SectionCommand, short_help="Write the page of a study, and its key.")
@click.argument("results", metavar="FILE.npz|FOLDER...", nargs=-1, required=True, type=PATH)
@RESULT("-o", "--out", required=True, metavar="FILE.html", type=PATH, help="The page; its key is FILE.key.json.")
@RESULT("--overwrite", is_flag=True, help="Replace an existing page and key.")
@JSON
@_clips("--method", "methods", multiple=True, metavar="NAME", help="Method, repeatable; default: all common ones.")
@_clips(
    "--truth", type=PATH, metavar="PATH", help="True classes: a folder of vidcam score, or a CSV with path and label."
)
@_clips("--select", metavar="f1:K", help="Only clips of the K classes with the highest F1 in a folder of vidcam score.")
@_questions("--pairs", type=int, metavar="N", help="Pairs of maps that each rater sees; default 40.")
@_questions("--singles", type=int, metavar="N", help="Clips where each rater judges the model; default 20.")
@_questions("--seed", type=int, metavar="N", help="Seed of the order and the sides; default 0.")
@_details("--title", metavar="TEXT", help="Title of the page.")
@_details("--embed", type=float, metavar="MB", help="Largest video that goes into the page as it is; default 20.")
@_details("--proxy", is_flag=True, help="Make H.264 copies of videos that browsers do not play.")
def make(
    results: tuple[Path, ...],
    out: Path,
    *,
    methods: tuple[str, ...],
    pairs: int | None,
    singles: int | None,
    as_json: bool,
    **values: Any,
) -> None:
    """Write the page of a study from saved explanations. Give raters the page and keep the key.

    \b
    vidcam study make out/ -o study.html --truth clips.csv
    vidcam study make out/ -o study.html --truth scored/ --select f1:5 --method gradcam --method gradcam++
    """  # noqa: D301 – click reads the \b as 'do not wrap'
    with loading():
        from vidcam.arguments import split_names
        from vidcam.pipelines.trust.design import Lengths
        from vidcam.pipelines.trust.make import StudyOptions, write_study
        from vidcam.system.json_files import to_json
        from vidcam.video.images import counted

    asked = given_options({"pairs": pairs, "singles": singles})
    with Bar() as bar:
        options = StudyOptions(methods=split_names(methods), lengths=Lengths(**asked), **given_options(values))
        written = write_study(results, out, options, progress=bar.progress)
    for note in written.notes:
        say(note)
    clips, questions = counted(written.clips, "clip"), counted(written.questions, "question")
    say(f"{clips}, {', '.join(written.methods)}, {questions} for each rater")
    say(f"keep {as_text(str(written.key))} from raters: it says which map is from which method")
    print_text(to_json(written, indent=0) if as_json else f"{written.path}\n{written.key}")


@study.command(cls=SectionCommand, short_help="Give the page to raters and keep their answers.")
@click.argument("page", metavar="FILE.html", type=PATH)
@RESULT("--answers", type=PATH, metavar="FILE.sqlite", help="Database of the answers; default: beside the page.")
@_network("--host", default="127.0.0.1", show_default=True, help="Address to listen on; 0.0.0.0 for the whole network.")
@_network("--port", default=8377, show_default=True, help="Port; 0 for any that is free.")
def serve(page: Path, *, answers: Path | None, host: str, port: int) -> None:
    """Give the page to raters and keep their answers in a database, until Ctrl-C. It resumes where it stopped.

    \b
    vidcam study serve study.html
    vidcam study serve study.html --host 0.0.0.0
    """  # noqa: D301 – click reads the \b as 'do not wrap'
    with loading():
        from vidcam.pipelines.trust.server import StudyServer, served_page
        from vidcam.pipelines.trust.storage import AnswerStore
        from vidcam.video.images import counted

    served = served_page(page)
    path = answers or page.with_suffix(".sqlite")
    with AnswerStore(path, served.study) as store, StudyServer(served, store, host=host, port=port) as server:
        print_text(server.address)
        if host in {"0.0.0.0", "::"}:  # noqa: S104 – only compared
            say(f"raters use this machine's own address in place of {host}; whoever has the link can answer")
        try:
            server.serve_forever()
        finally:
            sheets = store.sheets()
            given = counted(sum(len(rows) for _, _, rows in sheets), "answer")
            say(f"{as_text(str(path))} has {given} of {counted(len(sheets), 'rater')}")


@study.command(cls=SectionCommand, short_help="Sum up the answers of all raters.")
@click.argument("folder", metavar="FOLDER", type=PATH)
@RESULT("-o", "--out", metavar="FOLDER", type=PATH, help="Also write study.json and answers.csv into this folder.")
@JSON
@_details("--key", type=PATH, metavar="FILE.key.json", help="Key of the study; default: the one in the folder.")
@_details("--passed", type=float, metavar="SHARE", help="Share of the checks that a rater must pass; default 0.75.")
@_details("--resamples", type=int, metavar="N", help="Resamples of each bootstrap; default 1000.")
@_details("--seed", type=int, metavar="N", help="Seed of the bootstraps; default 0.")
def collect(folder: Path, *, out: Path | None, as_json: bool, key: Path | None, **values: Any) -> None:
    """Sum up the answers in a folder: files that raters saved, and databases of `vidcam study serve`.

    \b
    vidcam study collect answers/ --key study.key.json -o result
    """  # noqa: D301 – click reads the \b as 'do not wrap'
    with loading():
        from vidcam.pipelines.trust import tables
        from vidcam.pipelines.trust.analysis import analyse, find_key
        from vidcam.system.atomic import folder_errors
        from vidcam.system.json_files import to_json, write_json

    study_key = find_key(folder, key)
    analysis, votes = analyse(folder, study_key, **given_options(values))
    if out is not None:
        with folder_errors(out):
            out.mkdir(parents=True, exist_ok=True)
        write_json(out / "study.json", analysis)
        tables.write_answers(out / "answers.csv", votes, study_key, analysis)
    if as_json:
        print_text(to_json(analysis))
    else:
        found = (tables.method_rows(analysis), tables.pair_rows(analysis), tables.judgement_rows(analysis))
        for number, rows in enumerate(filter(None, found)):
            print_text("") if number else None
            print_rows(rows, as_json=False)
    for sentence in tables.sentences(analysis):
        say(f"  {sentence}")
