"""Artifact types of the gate, and the files of artifacts.

Kubeflow imports a custom artifact type by its TYPE_NAME, so each class is also
reachable as ``tfx_graphlets.<class name>``; and it carries no PROPERTIES there,
so everything on these artifacts is a custom property.

Their files go through TFX's fileio, so that a URI may be a bucket. Every file is written
to a temporary name first and then renamed.
"""

from __future__ import annotations

import builtins
import contextlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from absl import logging
from tfx import v1 as tfx
from tfx.v1.dsl.io import fileio

from tfx_graphlets.files import scratch_directory
from tfx_graphlets.gate import keys
from tfx_graphlets.stores.uris import KFP_SCHEMES, SERVER_SCHEMES
from tfx_graphlets.supervision.parent import Limits, in_thread


class Graphlets(tfx.dsl.Artifact):
    """The current graphlet's features and the labelled graphlets before it.

    >>> Graphlets().type_name
    'tfx_graphlets.Graphlets'
    """

    TYPE_NAME = "tfx_graphlets.Graphlets"


class WasteModel(tfx.dsl.Artifact):
    """A directory that ``tfx_graphlets.load_waste_model`` reads.

    >>> importer = tfx.dsl.Importer(source_uri="waste_model", artifact_type=WasteModel)
    >>> importer.outputs["result"].type_name
    'tfx_graphlets.WasteModel'
    """

    TYPE_NAME = "tfx_graphlets.WasteModel"


class Archive(tfx.dsl.Artifact):
    """Where the archive of a metadata store is, and what was added to it.

    >>> archive = Archive()
    >>> archive.set_string_custom_property("directory", "history")
    >>> archive.get_string_custom_property("directory")
    'history'
    """

    TYPE_NAME = "tfx_graphlets.Archive"


class GateDecision(tfx.dsl.Artifact):
    """Whether to train, and why; of a skipped run the only trace.

    >>> decision = GateDecision()
    >>> decision.set_int_custom_property("proceed", 0)
    >>> bool(decision.get_int_custom_property("proceed"))
    False
    """

    TYPE_NAME = "tfx_graphlets.GateDecision"


class Rehearsal(tfx.dsl.Artifact):
    """What small models said before the Trainer ran; see ``tfx_graphlets.rehearsal``.

    >>> rehearsal = Rehearsal()
    >>> rehearsal.set_float_custom_property("scout_value_margin", 0.02)
    >>> rehearsal.get_float_custom_property("scout_value_margin")
    0.02
    """

    TYPE_NAME = "tfx_graphlets.Rehearsal"


class GateVerdict(tfx.dsl.Artifact):
    """Yes or no, and nothing else: the same artifact whenever a gate says yes.

    TFX's cache key takes in the artifact that a condition asks. A GateDecision
    is another one in every run; this one is put out again, so that what the gate
    lets through is found in the cache as it would be without a gate.

    >>> GateVerdict().type_name
    'tfx_graphlets.GateVerdict'
    """

    TYPE_NAME = "tfx_graphlets.GateVerdict"


# What is told first of an artifact; whatever else stands on it follows.
_FIRST = (keys.PROCEED, keys.REASON, keys.PROBABILITY, keys.THRESHOLD, keys.STAGE, keys.USABLE)
_LISTS = {  # properties that hold a list as JSON, with the titles of what each entry holds
    keys.TOP_FEATURES: ("Feature", "Value", "Effect"),
    keys.SIMILAR_GRAPHLETS: ("Similar graphlet", "Pushed", "Similarity"),
}


def html_of(artifact: tfx.dsl.Artifact) -> str:
    """An artifact of this project as HTML, for a notebook.

    Everything that stands on it; of a decision what spoke for and against it, of graphlets the
    features of the current one. What cannot be read is left as it stands.
    """
    from tfx_graphlets import notebook

    said = {
        name: getattr(value, str(value.WhichOneof("value")))
        for name, value in artifact.mlmd_artifact.custom_properties.items()
        if value.WhichOneof("value")
    }
    first = {name: place for place, name in enumerate(_FIRST)}
    plain = sorted(
        said.keys() - _LISTS.keys(), key=lambda name: (first.get(name, len(first)), name)
    )
    parts = [notebook.table(artifact.type_name, (), [(name, said[name]) for name in plain])]
    for name, header in _LISTS.items():
        if name in said:
            try:
                parts.append(
                    notebook.table("", header, [list(one) for one in json.loads(said[name])])
                )
            except (ValueError, TypeError, RecursionError):
                parts.append(notebook.table(name, (), [(said[name],)]))
    if artifact.type_name == Graphlets.TYPE_NAME and artifact.uri:
        parts.append(_current(artifact.uri))
    return "".join(parts)


def _current(uri: str) -> str:
    """Features of the current graphlet of each Trainer node, as a table."""
    from tfx_graphlets import notebook
    from tfx_graphlets.gate.graphlets_file import FILES, GraphletsFormatError, from_files

    try:
        history = from_files(read_files(uri, FILES))
    except (GraphletsFormatError, OSError) as error:
        return notebook.table(str(error), (), ())
    if history.current is None:
        return notebook.table(str(history), (), ())
    rows = []
    for feature in history.current.features:
        values = history.current.columns[feature.name]
        if any(value is not None and value == value for value in values):  # noqa: PLR0124 - NaN
            rows.append((feature.name, *values, feature.unit))
    header = "Feature", *([node or "Value" for node in history.nodes] or ["Value"]), "Unit"
    missing = len(history.current.features) - len(rows)
    return notebook.table(str(history), header, rows, f"{missing} features are missing.")


def register_visualizations() -> None:
    """Has InteractiveContext's ``show`` show the artifacts of this project."""
    from IPython.display import HTML, display
    from tfx.orchestration.experimental.interactive import visualizations

    def show(_: object, artifact: tfx.dsl.Artifact) -> None:
        display(HTML(html_of(artifact)))

    for kind in (Graphlets, WasteModel, Archive, GateDecision, Rehearsal, GateVerdict):
        members = {"ARTIFACT_TYPE": kind, "display": show}
        shown = type(
            f"{kind.__name__}Visualization", (visualizations.ArtifactVisualization,), members
        )
        visualizations.get_registry().register(shown)


if getattr(builtins, "__IPYTHON__", None):  # how TFX itself tells a notebook
    register_visualizations()


_DRAFT = ".draft"
# What open_store opens itself; any other scheme is a file system.
_STORE_SCHEMES = ("sqlite", "file", *SERVER_SCHEMES, *KFP_SCHEMES)


def write_files(uri: str, files: Mapping[str, bytes]) -> None:
    """Writes the files below ``uri``, in the order given; makes the directory.

    Args:
      uri: an artifact's.
      files: content by name relative to ``uri``, ``/`` between its parts.
    """
    for name, content in files.items():
        target = _below(uri, name)
        fileio.makedirs(target.rpartition("/")[0])
        with fileio.open(target + _DRAFT, "wb") as sink:
            sink.write(content)
        fileio.rename(target + _DRAFT, target, overwrite=True)


def read_files(uri: str, names: Sequence[str]) -> dict[str, bytes]:
    """Content of those of the files that exist below ``uri``, by name."""
    files = {}
    for name in names:
        place = _below(uri, name)
        if fileio.exists(place):
            with fileio.open(place, "rb") as source:
                files[name] = source.read()
    return files


@contextlib.contextmanager
def local_copy(uri: str) -> Iterator[str]:
    """A local directory with the content of ``uri``: itself if it is local."""
    if is_local(uri):
        yield uri
        return
    with scratch_directory() as directory:
        for folder, _, names in fileio.walk(uri):
            below = os.path.relpath(_text(folder), uri)
            Path(directory, below).mkdir(parents=True, exist_ok=True)
            for name in map(_text, names):
                with fileio.open(_below(_text(folder), name), "rb") as source:
                    Path(directory, below, name).write_bytes(source.read())
        yield str(directory)


@contextlib.contextmanager
def local_target(uri: str) -> Iterator[str]:
    """A local directory whose content is at ``uri`` once the block has ended."""
    if is_local(uri):
        yield uri
        return
    with scratch_directory() as directory:
        place = Path(directory, "content")
        yield str(place)
        files = sorted(path for path in place.rglob("*") if path.is_file())
        write_files(uri, {p.relative_to(place).as_posix(): p.read_bytes() for p in files})


@contextlib.contextmanager
def within_reach(store: str, limits: Limits) -> Iterator[str]:
    """The store, or a local copy of an archive that lies where only TFX's fileio reads."""
    scheme = store.partition("://")[0].lower().removesuffix("+mlmd")
    if is_local(store) or scheme in _STORE_SCHEMES:
        yield store
        return
    with local_place(store, limits) as place:
        yield place


@contextlib.contextmanager
def local_place(uri: str, limits: Limits) -> Iterator[str]:
    """A local directory with the content of ``uri``, copied within the time limit."""
    with contextlib.ExitStack() as stack:
        copy = local_copy(uri)
        yield uri if is_local(uri) else in_thread(lambda: stack.enter_context(copy), limits)


class FileioPayloads:
    """Payloads wherever TFX reads and writes: what the present run has just written.

    A place that cannot be read counts as empty, a file as missing.
    """

    def files(self, uri: str) -> tuple[str, ...]:
        """Names of the files below ``uri``; see ``payloads.statistics.Payloads.files``."""
        found: list[str] = []
        try:
            for folder, _, names in fileio.walk(uri):
                below = _text(folder)[len(uri) :].strip("/")
                found.extend(f"{below}/{_text(name)}".lstrip("/") for name in names)
        except Exception as error:  # noqa: BLE001 - each file system has errors of its own
            logging.debug("%s counts as empty: %s", uri, error)
        return tuple(sorted(found))

    def read(self, uri: str, name: str) -> bytes | None:
        """Content of a file; see ``payloads.statistics.Payloads.read``."""
        try:
            return read_files(uri, [name]).get(name)
        except Exception as error:  # noqa: BLE001 - each file system has errors of its own
            logging.debug("%s/%s counts as missing: %s", uri, name, error)
            return None


def is_local(uri: str) -> bool:
    """True for a path of this machine's file system."""
    return "://" not in uri


def _below(uri: str, name: str) -> str:
    return f"{uri.rstrip('/')}/{name}"


def _text(path: str | bytes) -> str:
    return path.decode() if isinstance(path, bytes) else path
