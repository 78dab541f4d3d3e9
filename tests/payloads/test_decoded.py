"""Payloads: decoded once each; which may be there is asked of folders, not of files."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.features.memory_payloads import MemoryPayloads, statistics
from tfx_graphlets.features.executions import Entries
from tfx_graphlets.graphlets.segmentation import segment
from tfx_graphlets.payloads.decoded import DecodedPayloads
from tfx_graphlets.payloads.statistics import NoPayloads, Payloads
from tfx_graphlets.stores.files import FilePayloads
from tfx_graphlets.testing import TraceBuilder
from tfx_graphlets.trace.trace import Trace


def trace_of(*uris: str, type_name: str = "ExampleStatistics") -> Trace:
    """A trace of artifacts at these places."""
    build = TraceBuilder()
    made = [build.artifact(type_name, uri=uri) for uri in uris]
    build.execution("StatisticsGen", outputs={"statistics": made})
    return build.trace()


def any_payload(trace: Trace, payloads: Payloads) -> bool:
    """Whether features would look for any file of the trace."""
    return bool(Entries(segment(trace), DecodedPayloads(payloads)).readable.any())


class Counting(NoPayloads):
    """Remembers which places were asked for."""

    def __init__(self) -> None:
        self.places: list[str] = []

    def may_hold(self, place: str) -> bool:
        """See ``Foreseeing``."""
        self.places.append(place)
        return False


def test_a_file_that_is_there_is_found(tmp_path: Path) -> None:
    """The folder of one of the artifacts exists."""
    (tmp_path / "top/StatisticsGen/7").mkdir(parents=True)
    trace = trace_of("gone/StatisticsGen/6", "top/StatisticsGen/7")
    assert any_payload(trace, FilePayloads(tmp_path))


def test_files_that_are_gone_are_not_looked_for(tmp_path: Path) -> None:
    """No folder of any artifact is left."""
    assert not any_payload(trace_of("top/StatisticsGen/7"), FilePayloads(tmp_path))
    assert not any_payload(trace_of("/top/StatisticsGen/7"), NoPayloads())


def test_a_file_at_the_top_counts(tmp_path: Path) -> None:
    """A place without a folder above it is asked for itself."""
    (tmp_path / "stats").write_bytes(b"")
    assert any_payload(trace_of("stats"), FilePayloads(tmp_path))


@pytest.mark.parametrize("mark", ["/", "\\"])
def test_one_folder_is_asked_for_once(mark: str) -> None:
    """Also with backslashes, of a store that was written on Windows."""
    payloads = Counting()
    uris = [f"top{mark}StatisticsGen{mark}{number}" for number in range(100)]
    assert not any_payload(trace_of(*uris), payloads)
    assert payloads.places == ["top/StatisticsGen"]


def test_only_what_features_read_counts(tmp_path: Path) -> None:
    """A model that is there changes no feature."""
    (tmp_path / "top/Trainer/7").mkdir(parents=True)
    trace = trace_of("top/Trainer/7", type_name="Model")
    assert not any_payload(trace, FilePayloads(tmp_path))


def test_payloads_that_cannot_tell_may_hold_anything() -> None:
    """Who knows no folders is asked for every file."""
    assert any_payload(trace_of("top/StatisticsGen/7"), MemoryPayloads())


def test_a_file_is_decoded_once() -> None:
    """Also where several calls share what was decoded, and where it is gone."""
    payloads = MemoryPayloads()
    payloads.put("s", "Split-train/FeatureStats.pb", statistics(numbers={"x": (0.0, 1.0)}))
    decoded = DecodedPayloads(payloads)
    for _ in range(3):
        assert DecodedPayloads.of(decoded).num_examples("s") == 100
        assert decoded.has_statistics("s")
        assert not decoded.has_statistics("gone")
    assert payloads.reads == ["Split-train/FeatureStats.pb"]
