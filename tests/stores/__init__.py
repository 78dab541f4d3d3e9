"""Tests of the readers, the archive and the files beside a store."""
