"""S2JSD-LSH: its collision rate against the exact distance."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from tests.corpus import needs_corpus, real_runs
from tfx_graphlets.errors import InvalidArgumentError
from tfx_graphlets.payloads.decoded import DecodedPayloads
from tfx_graphlets.payloads.similarity import dataset_similarity, jensen_shannon_distance
from tfx_graphlets.payloads.similarity_hash import DistributionHash, HashedSimilarity, s2jsd
from tfx_graphlets.payloads.statistics import DatasetStatistics
from tfx_graphlets.stores.store import open_store
from tfx_graphlets.trace.trace import FloatArray
from tfx_graphlets.vocabulary import ArtifactType


def mixtures(cells: int, steps: int, seed: int) -> list[tuple[float, FloatArray, FloatArray]]:
    """Pairs of distributions ever further apart: their S2JSD and both."""
    random = np.random.Generator(np.random.PCG64(seed))
    start, end = random.dirichlet(np.ones(cells)), random.dirichlet(np.full(cells, 0.2))
    pairs = []
    for share in np.linspace(0.0, 1.0, steps):
        moved = (1 - share) * start + share * end
        pairs.append((s2jsd(start, moved), start, moved))
    return pairs


def test_s2jsd_is_the_jensen_shannon_distance_in_other_units() -> None:
    """The square root of two times the divergence in nats: disjoint ones are sqrt(2 ln 2) apart."""
    left, right = np.array([1.0, 0.0]), np.array([0.0, 1.0])
    assert s2jsd(left, right) == pytest.approx(math.sqrt(2 * math.log(2)))
    near = np.array([0.6, 0.4])
    bits = jensen_shannon_distance(left, near)
    assert s2jsd(left, near) == pytest.approx(bits * math.sqrt(2 * math.log(2)))


@pytest.mark.parametrize("cells", [2, 11, 50])
def test_collisions_fall_with_the_distance(cells: int) -> None:
    """The further two distributions are apart, the fewer functions give them one value."""
    family = DistributionHash(cells, functions=4_000, width=0.3, seed=7)
    pairs = mixtures(cells, 8, seed=cells)
    distances = [distance for distance, _, _ in pairs]
    rates = [family.collisions(left, right) for _, left, right in pairs]
    assert distances == sorted(distances)
    assert rates[0] == 1.0
    noise = 2.0 / math.sqrt(family.functions)
    assert all(later < earlier + noise for earlier, later in zip(rates, rates[1:]))
    assert rates[-1] < rates[0] - 0.2


def test_cells_of_the_line_are_a_width_apart() -> None:
    """Masses at both ends of a cell of the projection are one width apart by the approximation."""
    width = 0.3
    for number in range(5):
        low, high = (n * (n + 1) * width**2 for n in (number, number + 1))
        assert math.sqrt((high - low) ** 2 / (2 * (high + low))) == pytest.approx(width)


def test_a_seed_makes_the_functions() -> None:
    """Equal seeds give equal sketches, others others; shares need not sum to 1."""
    shares = np.array([2.0, 3.0, 5.0])
    first = DistributionHash(3, seed=1).sketch(shares)
    assert first.tolist() == DistributionHash(3, seed=1).sketch(shares / 10).tolist()
    assert first.tolist() != DistributionHash(3, seed=2).sketch(shares).tolist()


def test_what_cannot_be_hashed_is_refused() -> None:
    """Cells of another number, no mass, and families without functions or width."""
    family = DistributionHash(2)
    for shares in (np.ones(3), np.zeros(2), np.array([1.0, -0.5])):
        with pytest.raises(InvalidArgumentError, match="shares"):
            family.sketch(shares)
    for options in ({"functions": 0}, {"width": 0.0}):
        with pytest.raises(InvalidArgumentError):
            DistributionHash(2, **options)  # type: ignore[arg-type]


@needs_corpus
@pytest.mark.parametrize("store", real_runs(), ids=lambda path: path.parent.name)
def test_recorded_datasets_rank_alike_by_hash_and_exactly(store: Path) -> None:
    """Over the spans of real runs both similarities order pairs much alike."""
    with open_store(store) as opened:
        trace, decoded = opened.read_trace(), DecodedPayloads(opened.payloads)
        artifacts = np.flatnonzero(trace.artifacts_of_types([ArtifactType.EXAMPLE_STATISTICS]))
        uris = [trace.artifacts.uri[artifact] for artifact in artifacts.tolist()]
        spans = [decoded.statistics(uri) for uri in uris[::6]]
    datasets = [span for span in spans if span is not None]
    assert len(datasets) >= 5
    pairs = [(left, right) for at, left in enumerate(datasets) for right in datasets[at + 1 :]]
    hashed = HashedSimilarity(seed=3)
    exact = [dataset_similarity(*pair) for pair in pairs]
    by_hash = [dataset_similarity(*pair, hashed) for pair in pairs]
    assert np.corrcoef(_ranks(exact), _ranks(by_hash))[0, 1] > 0.9
    assert dataset_similarity(datasets[0], _copy(datasets[0]), hashed) == 1.0


def _ranks(values: list[float]) -> FloatArray:
    return np.argsort(np.argsort(values)).astype(np.float64)


def _copy(dataset: DatasetStatistics) -> DatasetStatistics:
    return DatasetStatistics(dataset.num_examples, dict(dataset.features))
