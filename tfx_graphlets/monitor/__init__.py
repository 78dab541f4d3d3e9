"""Monitor: how a gate that went live is doing, from its decisions and what became of them.

``observed`` joins decisions with outcomes, ``misses`` estimates the pushes that
nobody saw, ``intervals`` and ``probabilities`` hold the statistics, ``savings``
what was not spent, ``alarms`` what a person has to look at, ``report`` all of
it together. Plain values in and out: reading a store is the caller's.
"""

from tfx_graphlets.monitor.alarms import Alarm, AlarmRules
from tfx_graphlets.monitor.report import GateReport, MonitorReport, monitor

__all__ = ["Alarm", "AlarmRules", "GateReport", "MonitorReport", "monitor"]
