"""The report as one HTML file that loads nothing from a network.

It shows the values of ``view_of`` and computes none: every number stands in a
``<data>`` element with the path of its value in the document (``data-of``). The
templates escape whatever they are given (Jinja2, autoescape), data for scripts
is JSON without ``<``, and the page's own content security policy names the few
scripts that may run by their digests, and no address.

What it embeds is taken from installed packages when a page is made (extra
``report``); docs/report.md tells what they were compared with.

Details of a pipeline (its graphlets, decisions, graphs) are HTML as well, packed
by gzip, and unpacked by the browser when they are opened.
"""

from __future__ import annotations

import base64
import functools
import gzip
import hashlib
import importlib.util
import itertools
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from tfx_graphlets.errors import MissingDependencyError
from tfx_graphlets.report import plots, words
from tfx_graphlets.report.drawing import to_svg
from tfx_graphlets.report.graph import Graphs
from tfx_graphlets.report.source import ReportSource
from tfx_graphlets.version import __version__

_MOST_DRAWN: Final = 600  # graphs of a page, of the pipelines that waste most; 20 ms each
_SHOWN_ROWS: Final = 200  # of a table that the page has no second place for


def page_of(view: Mapping[str, Any], sources: Sequence[ReportSource] = ()) -> str:
    """The page of a report.

    Args:
      view: the document of ``view_of``.
      sources: the stores that it was made from, for the graphs of graphlets;
        without them the page has none.

    Returns:
      HTML; no lone surrogate is in it, so that it can be written as UTF-8.

    Raises:
      MissingDependencyError: the extra ``report`` is not installed.
    """
    try:
        import jinja2
        import vl_convert
        from markupsafe import Markup as markup  # noqa: N813 - it makes one from a text
    except ImportError as error:
        raise _missing(str(error.name)) from error
    view = _cleaned(view)
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("tfx_graphlets.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"clipped": words.clipped, "moment": words.moment}
    environment.filters["script"] = functools.partial(_for_script, markup=markup)

    def show(path: str, unit: str = "count") -> Any:
        """The value at a path of the document, in words, with what it is."""
        value = value_at(view, path)
        if not isinstance(value, (int, float)):
            return words.written(value, unit)
        return markup('<data data-of="{}" data-unit="{}" value="{}">{}</data>').format(
            path, unit, value, words.written(value, unit)
        )

    environment.globals |= {
        "show": show,
        "view": view,
        "first": view["first"],
        "written": words.written,
        "currency": view["settings"]["currency"],
        "version": __version__,
    }
    scripts = [_as_script(vl_convert.javascript_bundle("window.vegaEmbed=vegaEmbed;"))]
    scripts += [_as_script(text) for text in (_data_tables("js"), _template("glue.js"))]
    graphs = {
        words.clean(one.described.store): Graphs(one.graphlets, one.decisions) for one in sources
    }
    drawn_before = _sums_before([len(row["graphs"]) for row in view["pipelines"]])
    detail = environment.get_template("pipeline.html")
    packed = [
        _packed(
            detail.render(
                number=number,
                row=row,
                timeline=_entries(row),
                chart=plots.timeline(row),
                graphs=_drawn(row, graphs.get(row["store"]), markup)
                if drawn_before[number] < _MOST_DRAWN
                else {},
            )
        )
        for number, row in enumerate(view["pipelines"])
    ]
    html = environment.get_template("page.html").render(
        policy=_policy(scripts),
        scripts=[markup(text) for text in scripts],
        packed=packed,
        styles=[markup(_data_tables("css")), markup(_template("style.css"))],
        tables={table["name"]: (at, table) for at, table in enumerate(view["tables"])},
        charts={"time": plots.over_time(view), "curve": plots.curve(view)},
        shown_rows=_SHOWN_ROWS,
    )
    return str(html)


def value_at(view: Mapping[str, Any], path: str) -> Any:
    """The value at a dotted path: ``first.worst.0.wasted_ms``."""
    found: Any = view
    for step in path.split("."):
        found = found[int(step)] if isinstance(found, list) else found[step]
    return found


def _entries(row: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Graphlets of a pipeline, the latest first, each with its place in the document."""
    entries = row["timeline"]["entries"] if row["timeline"] else []
    titles = {cause["cause"]: cause["title"] for cause in row["causes"]}
    return [
        {**entry, "at": at, "why": titles.get(entry["cause"], entry["cause"] or "")}
        for at, entry in reversed(list(enumerate(entries)))
    ]


def _drawn(row: Mapping[str, Any], graphs: Graphs | None, markup: Any) -> dict[int, Any]:
    """Drawings by Trainer."""
    if graphs is None:
        return {}
    ids = graphs.graphlets.trainer_id  # ascending
    places = np.searchsorted(ids, row["graphs"]).tolist()
    return {
        trainer: markup(to_svg(graphs.of(at)))
        for trainer, at in zip(row["graphs"], places)
        if at < len(ids) and ids[at] == trainer
    }


def _sums_before(counts: Sequence[int]) -> list[int]:
    """Of each count, the sum of those before it."""
    return [0, *itertools.accumulate(counts)][: len(counts)]


def _cleaned(value: Any) -> Any:
    """The same document; no text of it holds a control or a lone surrogate."""
    if isinstance(value, str):
        return words.clean(value)
    if isinstance(value, Mapping):
        return {_cleaned(key): _cleaned(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_cleaned(one) for one in value]
    return value


def _for_script(value: object, markup: Any) -> Any:
    """JSON that can stand in a script element."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return markup(text)


def _packed(html: str) -> str:
    return base64.b64encode(gzip.compress(html.encode("utf-8"), 6, mtime=0)).decode("ascii")


def _as_script(text: str) -> str:
    return text.replace("</script", "<\\/script").replace("<!--", "<\\!--").strip()


def _policy(scripts: Sequence[str]) -> str:
    """The content security policy: these scripts, styles in place, and nothing else."""
    digests = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(text.encode('utf-8')).digest()).decode()}'"
        for text in scripts
    )
    return (
        f"default-src 'none'; script-src {digests}; style-src 'unsafe-inline'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )


@functools.cache
def _data_tables(kind: str) -> str:
    """DataTables as itables brings it; it is not imported, for it would load pandas."""
    found = importlib.util.find_spec("itables")
    if found is None or found.origin is None:
        raise _missing("itables")
    text = (Path(found.origin).parent / "html" / f"dt_bundle.{kind}").read_text(encoding="utf-8")
    if kind == "css":
        return text.replace("</style", "")
    # A script in place exports nothing: its default export becomes a name of the window.
    named = re.search(r"export\s*\{[^}]*?([\w$]+) as default[^}]*\}\s*;?", text)
    if named is None:
        raise _missing("itables")
    return text.replace(named[0], f"window.DataTable={named[1]};")


def _template(name: str) -> str:
    return (Path(__file__).parent / "templates" / name).read_text(encoding="utf-8")


def _missing(package: str) -> MissingDependencyError:
    return MissingDependencyError(package, "report", "The report's page")
