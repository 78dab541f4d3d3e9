"""One store, read and cut for a report."""

from __future__ import annotations

import dataclasses
import functools

from tfx_graphlets.analysis.corpus import describe_trace
from tfx_graphlets.analysis.described import Described
from tfx_graphlets.features import describe, properties_read
from tfx_graphlets.features.executions import READ_TYPES
from tfx_graphlets.gate.record import DECISION_PROPERTIES, past_decisions
from tfx_graphlets.graphlets import roles
from tfx_graphlets.graphlets.graphlet import Graphlets
from tfx_graphlets.graphlets.outcome import wasted_executions
from tfx_graphlets.graphlets.pending import without_gates
from tfx_graphlets.graphlets.roles import Declared
from tfx_graphlets.graphlets.segmentation import segment
from tfx_graphlets.payloads.statistics import NoPayloads, Payloads
from tfx_graphlets.policy.decision import PastDecision
from tfx_graphlets.stores.selection import Columns
from tfx_graphlets.stores.store import Store, declared_in
from tfx_graphlets.trace.trace import BoolArray, Trace
from tfx_graphlets.vocabulary import ArtifactType, Stage

_URIS_READ = frozenset((*READ_TYPES, ArtifactType.TRANSFORM_CACHE, ArtifactType.TRANSFORM_GRAPH))
MOST_WITH_PAYLOADS = 20_000  # graphlets; decoding their files takes 10 to 45 ms each


@dataclasses.dataclass(frozen=True, eq=False)
class ReportSource:
    """A store as a report sees it.

    Attributes:
      described: its graphlets with features at stage ``validation``.
      decisions: of its gates, in the order of time.
      notes: what was left out, in sentences.
    """

    described: Described
    decisions: tuple[PastDecision, ...]
    notes: tuple[str, ...] = ()

    @property
    def graphlets(self) -> Graphlets:
        """The graphlets."""
        return self.described.graphlets

    @functools.cached_property
    def wasted(self) -> BoolArray:
        """Executions that are wasted, bool [num_executions]."""
        return wasted_executions(self.graphlets)

    def asked(self, pipeline: str | None, node: str | None) -> ReportSource:
        """The source with what is asked about: graphlets whose Trainer is of these; None: any."""
        decisions = [one for one in self.decisions if pipeline in (None, one.pipeline)]
        if node is not None:
            decisions = [one for one in decisions if one.of_node(node) is not None]
        described = dataclasses.replace(self.described, pipeline=pipeline, node=node)
        return dataclasses.replace(self, described=described, decisions=tuple(decisions))

    @classmethod
    def read(
        cls, store: Store, declared: Declared | None = None, name: str | None = None
    ) -> ReportSource:
        """Reads a store; its payloads may be asked for as long as it is open.

        Read is what a report shows: half of the rows of a TFX store are properties and cache
        contexts that nothing here looks at.

        Args:
          store: an open store.
          declared: roles and pushers, as for ``segment``.
          name: how the report calls it; the store's own name by default.
        """
        trace = store.read_trace(
            properties=properties_read(Stage.VALIDATION) | DECISION_PROPERTIES,
            columns=dataclasses.replace(
                Columns.FOR_FEATURES, uris=True, uri_types=_URIS_READ, event_keys=None
            ),
        )
        given = declared_in(trace, store, declared or Declared())
        found = cls.of(name or store.name, trace, store.payloads, given)
        # An archive of one pipeline holds of others what its graphlets need, and no more.
        manifest = getattr(store, "manifest", None)
        return found.asked(getattr(manifest, "selection", None), getattr(manifest, "node", None))

    @classmethod
    def of(
        cls,
        name: str,
        trace: Trace,
        payloads: Payloads | None = None,
        declared: Declared | None = None,
    ) -> ReportSource:
        """The source of a trace.

        Args:
          name: of its store.
          trace: with the gates' own nodes.
          payloads: files below artifact URIs; None: none.
          declared: roles and pushers, as for ``segment``.
        """
        plain = without_gates(trace)
        given = declared or Declared()
        graphlets = segment(plain, role_of_type=given.role_of_type, pushers=given.pushers)
        payloads = payloads or NoPayloads()
        notes: tuple[str, ...] = ()
        if len(graphlets) > MOST_WITH_PAYLOADS:
            payloads = NoPayloads()
            note = (
                f"{name} holds {len(graphlets):,} graphlets: statistics, anomalies and metrics "
                f"are read for at most {MOST_WITH_PAYLOADS:,}, so causes that need them are "
                "among the unexplained."
            )
            notes = (note,)
            table = describe_trace(
                plain,
                Stage.VALIDATION,
                role_of_type=given.role_of_type,
                pushers=given.pushers,
            )
        else:
            table = describe(graphlets, Stage.VALIDATION, payloads=payloads)
        return cls(
            Described(name, graphlets, table, payloads, roles.own_executions(plain)),
            tuple(past_decisions(trace)),
            notes,
        )
