"""Secrets and machine paths in texts."""

from __future__ import annotations

import json

import pytest

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
