"""Beam's DaskRunner, as far as it does not run here by itself.

Beam 2.61's waits for workers by a call that ``distributed`` no longer has
(``Client.wait_for_workers`` without a number), so that no job of it ends well;
hands all options of the pipeline to the client, which refuses ``runner``; and
gathers every intermediate collection on one worker. Here the last collections
alone are computed, and a worker keeps what lies between. Name it by its path:
``--runner=tfx_graphlets.beam.dask.DaskRunner``.

What it does not have stays missing: side inputs, state, timers, metrics, and
every method of a DoFn but ``process``. The transforms of this package need none.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Final

from apache_beam import Pipeline
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.runner import PipelineState

from tfx_graphlets.errors import MissingDependencyError

try:
    import dask.distributed
    from apache_beam.runners.dask import dask_runner
except ImportError as error:
    raise MissingDependencyError("dask[distributed]", "dask", "DaskRunner") from error

if TYPE_CHECKING:
    from apache_beam.pipeline import AppliedPTransform
    from dask.bag.core import Bag

# What DaskOptions adds to the options, by the names of the client's arguments.
_OF_CLIENT: Final = ("address", "timeout", "scheduler_file", "name", "connection_limit")


@dataclasses.dataclass
class DaskResult(dask_runner.DaskRunnerResult):
    """A job that runs on Dask."""

    def wait_until_finish(self, duration: float | None = None) -> str:
        """Waits for the end of the job, and lets go of the cluster.

        Args:
          duration: how long to wait at most, milliseconds; None: to the end.

        Raises:
          Exception: what a worker raised.
          TimeoutError: the job has not ended; it is cancelled.
        """
        timeout = None if duration is None else duration / 1000
        try:
            dask.distributed.wait(self.futures, timeout=timeout)  # type: ignore[no-untyped-call]
            self.client.gather(self.futures, errors="raise")
            self._state = PipelineState.DONE
        except BaseException:
            self._state = PipelineState.FAILED
            self.client.cancel(self.futures)
            raise
        finally:
            self.client.close()
        return self._state


class DaskRunner(dask_runner.DaskRunner):
    """Runs a pipeline on a Dask cluster: ``--dask_client_address=tcp://host:8786``.

    Without an address, on processes of this machine.
    """

    def run_pipeline(self, pipeline: Pipeline, options: PipelineOptions) -> DaskResult:
        """Submits the pipeline; see ``apache_beam.runners.PipelineRunner``."""
        given = options.view_as(dask_runner.DaskOptions).get_all_options(drop_default=True)
        arguments = {name: given[name] for name in _OF_CLIENT if name in given}
        client = dask.distributed.Client(**arguments)  # type: ignore[no-untyped-call]
        pipeline.replace_all(dask_runner.dask_overrides())
        visitor = self.to_dask_bag_visitor()
        pipeline.visit(visitor)
        return DaskResult(client, client.compute(_last(visitor.bags)))  # type: ignore[no-untyped-call]


def _last(bags: dict[AppliedPTransform, Bag]) -> list[Bag]:
    """The collections that nothing is made from."""
    used = {value.producer for transform in bags for value in transform.inputs}
    return [bag for transform, bag in bags.items() if transform not in used]
