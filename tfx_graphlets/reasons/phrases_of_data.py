"""The wordings of what goes into a graphlet: data and code.

Of the features of one topic, those that say it best come first: see
``wording.obscurity``.
"""

from __future__ import annotations

from tfx_graphlets.reasons.wording import (
    PUSHED,
    TRAINED,
    Topic,
    Wording,
    counted,
    flag,
    margin,
    percent,
    size,
    times,
)

COMPARED = Topic("data", "how the data compare with those of earlier runs")
_NEWEST = Topic("newest span", "how sound the newest span of data is")
_AMOUNT = Topic("amount of data", "how much data there are")
_SCHEMA = Topic("schema", "whether the schema changed")
_LABEL = Topic("label", "how the label of the data compares with that of earlier data")
_CODE = Topic("code", "how the code compares with that of earlier runs, and how it fared")
CALENDAR = Topic("calendar", "what day it is")


def of_data() -> dict[str, Wording]:
    """Wordings of group ``input_data``, by the second part of the name."""
    words: dict[str, Wording] = {}  # of one topic the most telling first
    for end, since, run in (
        ("1", "", TRAINED),
        ("pushed", "_since_push", PUSHED),
    ):
        words |= {
            f"jaccard_{end}": _overlap(run),
            f"span_step{since}": Wording(
                COMPARED,
                f"the newest span is {{}} after that of {run}",
                counted("span"),
                {0.0: f"the newest span is that of {run}"},
                f"the newest span is {{}} before that of {run}",
            ),
            f"new_spans{since}": Wording(
                COMPARED,
                f"{{}} not in the data of {run}",
                counted("span was", "spans were"),
                {0.0: f"no span is new since {run}"},
            ),
            f"bytes_ratio_{end}": Wording(
                COMPARED,
                f"the data are {{}} as large as those of {run}",
                times,
                {1.0: f"the data are as large as those of {run}"},
            ),
            f"examples_ratio_{end}": Wording(
                COMPARED,
                f"there are {{}} as many examples as in {run}",
                times,
                {1.0: f"there are as many examples as in {run}"},
            ),
            f"similarity_{end}": Wording(
                COMPARED,
                f"the data are like those of {run} to {{}}",
                percent,
                {1.0: f"the statistics of the data are exactly those of {run}"},
            ),
            f"mean_shift_{end}": Wording(
                COMPARED,
                f"some feature's mean is {{}} standard deviations from that in {run}",
                special={0.0: f"no feature's mean has moved since {run}"},
            ),
            f"schema_changed_{end}": flag(
                _SCHEMA, f"the schema changed since {run}", f"the schema is that of {run}"
            ),
        }
    words |= {
        "spans": Wording(_AMOUNT, "the data are {}", counted("span")),
        "missing_spans": Wording(
            _AMOUNT,
            "{} missing between the oldest and the newest",
            counted("span is", "spans are"),
            {0.0: "no span is missing between the oldest and the newest"},
        ),
        "bytes": Wording(_AMOUNT, "the data are {}", size),
        "examples": Wording(_AMOUNT, "the data are {}", counted("example")),
        "bytes_ratio_mean": Wording(
            _AMOUNT, "the data are {} as large as on average in the last 10 trained runs", times
        ),
        "span_weekday": Wording(CALENDAR, "the newest span's number is {} modulo 7"),
        "unseen_spans": Wording(
            COMPARED,
            "{} never trained on before",
            counted("span was", "spans were"),
            {0.0: "all spans have been trained on before"},
        ),
        "newest_bytes_ratio": Wording(
            _NEWEST, "the newest span is {} as large as spans usually are", times
        ),
        "newest_similarity": Wording(
            COMPARED, f"the newest span is like the data of {PUSHED} to {{}}", percent
        ),
        "missing_rise_newest": Wording(
            _NEWEST,
            f"some feature lacks {{}} more of its values in the newest span than in {PUSHED}",
            percent,
            {0.0: f"the newest span lacks no more values than {PUSHED}"},
        ),
        "mean_shift_newest": Wording(
            COMPARED,
            "some feature's mean in the newest span is {} standard deviations from "
            f"that in {PUSHED}",
            special={0.0: f"all means of the newest span are those of {PUSHED}"},
        ),
        "anomalies": Wording(
            _NEWEST,
            "ExampleValidator found {} in the data",
            counted("anomaly", "anomalies"),
            {0.0: "ExampleValidator found no anomaly in the data"},
        ),
        "newest_anomalies": Wording(
            _NEWEST,
            "ExampleValidator found {} in the newest span",
            counted("anomaly", "anomalies"),
            {0.0: "ExampleValidator found no anomaly in the newest span"},
        ),
        "anomalous_splits": Wording(
            _NEWEST,
            "ExampleValidator found anomalies in {} of the newest span",
            counted("split"),
            {0.0: "ExampleValidator found no anomalous split in the newest span"},
        ),
        "schema_features_added": Wording(
            _SCHEMA,
            f"{{}} added to the schema since {TRAINED}",
            counted("feature was", "features were"),
            {0.0: f"the schema gained no feature since {TRAINED}"},
        ),
        "schema_features_removed": Wording(
            _SCHEMA,
            f"{{}} removed from the schema since {TRAINED}",
            counted("feature was", "features were"),
            {0.0: f"the schema lost no feature since {TRAINED}"},
        ),
        "newest_examples_z": _usual("number of examples"),
        "newest_shift_ratio": Wording(
            _NEWEST,
            "some feature's mean moved {} as far in the newest span as it usually does",
            times,
        ),
        "features_lost": Wording(
            _NEWEST,
            "{} missing from the newest span",
            counted("feature is", "features are"),
            {0.0: "the newest span lacks no feature"},
        ),
        "missing_rise_1": Wording(
            COMPARED,
            f"some feature lacks {{}} more of its values than in {TRAINED}",
            percent,
            {0.0: f"no feature lacks more values than in {TRAINED}"},
        ),
        "new_bytes_share_blessed": _new_share("data"),
        "label_newest": Wording(_LABEL, "the label's mean in the newest span is {}"),
        "label_newest_z": Wording(
            _LABEL,
            "the label's mean in the newest span is {} standard deviations above that of "
            "earlier spans",
            negative="the label's mean in the newest span is {} standard "
            "deviations below that of earlier spans",
        ),
        "label_newest_shift_blessed": Wording(
            _LABEL,
            "the label's mean in the newest span is {} above that of the last blessed run",
            special={0.0: "the label's mean in the newest span is that of the last blessed run"},
            negative="the label's mean in the newest span is {} below that of the last blessed run",
        ),
        "label_gain": Wording(
            _LABEL,
            "the label's new share alone makes a model {} nats better on the newest span",
            special={0.0: "the label's share has nothing new to teach"},
            negative="the label's new share alone makes a model {} nats worse on the newest span",
        ),
        "jaccard_2": _overlap("the second last trained run"),
        "jaccard_3": _overlap("the third last trained run"),
        "jaccard_blessed": _overlap("the last blessed run"),
    }
    return words


def _overlap(run: str) -> Wording:
    special = {
        1.0: f"the data are exactly those of {run}",
        0.0: f"the data have no span in common with those of {run}",
    }
    return Wording(COMPARED, f"the data overlap to {{}} with those of {run}", percent, special)


def _new_share(what: str) -> Wording:
    special = {0.0: f"none of the {what} are new since the last blessed run"}
    return Wording(
        COMPARED, f"{{}} of the {what} are new since the last blessed run", percent, special
    )


def _usual(what: str) -> Wording:
    return Wording(
        _NEWEST,
        f"the newest span's {what} is {{}} standard deviations above the usual",
        special={0.0: f"the newest span's {what} is the usual"},
        negative=f"the newest span's {what} is {{}} standard deviations below the usual",
    )


def of_code() -> dict[str, Wording]:
    """Wordings of group ``code``, by the second part of the name."""
    words: dict[str, Wording] = {}
    for whose, code, it in (
        ("trainer", "the Trainer's code", "this code"),
        ("transform", "the code", "this code"),
        ("previous", f"the code of {TRAINED}", f"the code of {TRAINED}"),
    ):
        other = "the trained run before it" if whose == "previous" else TRAINED
        words |= {
            f"{whose}_value_failed": flag(
                _CODE,
                f"the last model of {it} missed the value threshold",
                f"the last model of {it} passed the value threshold",
            ),
            f"{whose}_rerun_expected": flag(
                COMPARED,
                f"a model of {it} on these data would be blessed again",
                f"a model of {it} on these data would not be pushed this time either",
            ),
            f"{whose}_last_pushed": flag(
                _CODE,
                f"{code} is that of a graphlet that was pushed",
                f"{code} is that of a graphlet that was not pushed",
            ),
            f"{whose}_value_margin": margin(_CODE, f"the last model of {it}", "value"),
            f"{whose}_change_margin": margin(_CODE, f"the last model of {it}", "change"),
            f"{whose}_same_1": flag(
                _CODE, f"{code} is that of {other}", f"{code} is not that of {other}"
            ),
            f"{whose}_same_pushed": flag(
                _CODE, f"{code} is that of {PUSHED}", f"{code} is not that of {PUSHED}"
            ),
            f"{whose}_runs": Wording(
                _CODE,
                f"{code} is that of the {{}} before",
                counted("trained run"),
                {0.0: f"{code} is new"},
            ),
            f"{whose}_pushes": Wording(
                _CODE,
                f"{code} has brought {{}} into serving",
                counted("model"),
                {0.0: f"{code} has not brought any model into serving"},
            ),
            f"{whose}_push_share": Wording(
                _CODE,
                f"{{}} of the graphlets with {code} were pushed",
                percent,
                {
                    0.0: f"no graphlet with {code} was pushed",
                    1.0: f"every graphlet with {code} was pushed",
                },
            ),
            f"{whose}_same_spans": Wording(
                COMPARED,
                f"{it} has been trained on exactly these data in {{}}",
                counted("trained run"),
                {0.0: f"{it} has not been trained on exactly these data before"},
            ),
        }
    return words
