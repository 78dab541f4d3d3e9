"""Analysis: tables over whole corpora."""
