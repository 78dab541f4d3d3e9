"""Secrets and machine paths in texts."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfx_graphlets.stores.archive.texts import (
    SCRUBBED,
    Relativizer,
    is_secret_name,
    without_secrets,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("gs://bucket/a@b/c", "gs://bucket/a@b/c"),
        ("m@runs/_wheels/m.whl", "m@runs/_wheels/m.whl"),
        ("https://user:pw@host:1/x and ftp://u@h", "https://host:1/x and ftp://h"),
        ('{"tokenizer": "bert", "num_tokens": 3}', '{"tokenizer": "bert", "num_tokens": 3}'),
        ('{"secret_steps": 3}', '{"secret_steps": 3}'),
        ("password=x;user=y", f"password={SCRUBBED};user=y"),
    ],
)
def test_texts_without_secrets(text: str, expected: str) -> None:
    """Only what is a secret goes, wherever it stands in the text."""
    assert without_secrets(text) == expected


@pytest.mark.parametrize("secret", ["simple", 'with "quotes"', "back\\slash", "", "two\nlines"])
@pytest.mark.parametrize("depth", [1, 2])
def test_a_secret_in_json_goes_whole(secret: str, depth: int) -> None:
    """The text is still JSON, also inside JSON, with only the secret's value replaced."""
    text: object = {"steps": 3, "apiKey": secret, "after": "kept"}
    expected: object = {"steps": 3, "apiKey": SCRUBBED, "after": "kept"}
    for _ in range(depth - 1):
        text, expected = {"inner": json.dumps(text)}, {"inner": json.dumps(expected)}
    assert json.loads(without_secrets(json.dumps(text))) == expected


# What goes, in one expression each; on a long text they take the square of its length, or its cube.
WORD = r"(?:pwd|api[_-]?key)"
IN_JSON = re.compile(
    rf"(?P<begin>(?P<quote>\\*\")[\w.-]*{WORD}[\w.-]*(?P=quote)\s*:\s*(?P=quote))"
    r"(?:(?!(?<!\\)(?P=quote)).)*(?<!\\)(?P=quote)",
    re.IGNORECASE | re.DOTALL,
)
AS_OPTION = re.compile(rf"([\w.-]*{WORD}[\w.-]*=)[^\s\"'&;,\\]+", re.IGNORECASE)
PIECES = (
    '"', "\\", '\\"', '\\\\"', "pwd", "Api-Key", "a", "=", " ", "\n", ":", ";", ".", "'",
    '"pwd"', 'pwd":"', '": "', '\\":\\"', '\\"pwd\\":\\"', '\\\\"pwd\\\\":\\\\"', "pwd=",
)  # fmt: skip


@given(st.lists(st.sampled_from(PIECES), max_size=20).map("".join))
def test_secrets_go_from_oddly_quoted_texts(text: str) -> None:
    """In JSON that is broken, cut off or quoted in two ways the same goes as one pattern finds."""
    expected = IN_JSON.sub(rf"\g<begin>{SCRUBBED}\g<quote>", text)
    assert without_secrets(text) == AS_OPTION.sub(rf"\g<1>{SCRUBBED}", expected)


LONG = 300_000
NEARLY = ("a", "pwd", "api_", "\\", '"', '\\"', ' "pwd"', '"pwd",', 'pwd\\"', "://", "://a")


@pytest.mark.parametrize("piece", NEARLY)
def test_a_long_text_is_looked_through_once(piece: str) -> None:
    """What is nearly a secret takes its length, not the square of it, which would be hours."""
    text = piece * (LONG // len(piece))
    assert without_secrets(text) == text
    assert without_secrets(f'{text}\npwd=x "pwd": "y"') == (
        f'{text}\npwd={SCRUBBED} "pwd": "{SCRUBBED}"'
    )


def test_names_of_secrets() -> None:
    """Names in any spelling that end or begin with a word for a secret."""
    secret = (
        "password",
        "db_password",
        "DB-PASSWORD",
        "secretKey",
        "api_key",
        "token",
        "aws.secret",
    )
    plain = ("passwords_file_count2x", "num_tokens", "tokenizer", "state", "secretary", "span")
    assert [name for name in secret if not is_secret_name(name)] == []
    assert [name for name in plain if is_secret_name(name)] == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/data/ml/runs/1", "runs/1"),
        ("/data/ml/deep/runs/1", "runs/1"),
        ("/data/ml", "."),
        ("/data/ml/", "."),
        ("/data/mlx/runs", "/data/mlx/runs"),
        ("/other/data/ml/runs", "/other/data/ml/runs"),
        ("gs://bucket/data/ml/runs", "gs://bucket/data/ml/runs"),
        ("file:///data/ml/runs", "runs"),
        ('["/data/ml/a", "x=/data/ml/b"]', '["a", "x=b"]'),
        ("m@/data/ml/w.whl:/data/ml/x", "m@w.whl:x"),
        ("C:\\ml\\root\\1", "root\\1"),
        ('{"path": "C:\\\\ml\\\\root\\\\1"}', '{"path": "root\\\\1"}'),
        ("no path", "no path"),
    ],
)
def test_machine_paths(text: str, expected: str) -> None:
    """The longest given folder goes where it begins a path, and only there."""
    assert Relativizer(["/data/ml", "/data/ml/deep/", "C:\\ml"])(text) == expected
