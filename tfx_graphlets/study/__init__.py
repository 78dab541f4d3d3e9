"""Study: how well pushes can be told in advance from a history, and what limits it.

Offline, on labelled graphlets of several pipelines: which features matter,
which learner, how calibrated, at which stage, with how much data. Nothing here
decides about a run; for decisions in the order of time there is ``backtest``.
"""

from tfx_graphlets.study.run import Study, StudySettings, run_study

__all__ = ["Study", "StudySettings", "run_study"]
