"""Fuzzing: damaged input of five kinds ends in a result or in one line, never in a traceback."""
