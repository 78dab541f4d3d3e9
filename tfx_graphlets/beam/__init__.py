"""Apache Beam: corpora larger than one machine, by the same functions.

A store is divided into groups of pipelines that know nothing of each other
(``groups``); each is read, cut, described and scored on its own (``steps``),
by workers that open the store themselves, and becomes one Parquet file
(``files``). The transforms are thin shells over these::

    with apache_beam.Pipeline() as pipeline:
        (pipeline
         | ReadPipelines("mysql://reader@host:3306/metadata")
         | Segment()
         | Describe(Stage.PRE)
         | Score("waste_model/")
         | WriteParquet("gs://bucket/features"))

``StoreToParquet`` does all of it in one transform, of which nothing but names
leaves a worker; the command ``python -m tfx_graphlets.beam`` runs that.
"""

from __future__ import annotations

from tfx_graphlets.errors import MissingDependencyError

try:
    import apache_beam as _apache_beam
except ImportError as error:
    raise MissingDependencyError("apache-beam", "beam", "tfx_graphlets.beam") from error

from tfx_graphlets.beam.failures import PartFailedError
from tfx_graphlets.beam.files import TableOfFiles
from tfx_graphlets.beam.groups import Group, groups_of_store
from tfx_graphlets.beam.transforms import (
    Describe,
    ReadPipelines,
    Score,
    Segment,
    StoreToParquet,
    WriteParquet,
)

__all__ = [
    "Describe",
    "Group",
    "PartFailedError",
    "ReadPipelines",
    "Score",
    "Segment",
    "StoreToParquet",
    "TableOfFiles",
    "WriteParquet",
    "groups_of_store",
]

del _apache_beam
