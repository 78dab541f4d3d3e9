"""The command line: ``parse`` reads words, ``command`` does, ``render`` shows.

Exit codes: 0 done (``gate``: run, ``monitor``: healthy), 3 ``gate``: skip,
4 ``monitor``: alarm, 2 usage, 1 failure with a reason of one line, 130 interrupted.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from types import FrameType, TracebackType
from typing import NoReturn

from tfx_graphlets.cli import parse, render, values
from tfx_graphlets.cli.progress import Progress
from tfx_graphlets.errors import Fault, GraphletsError, fault_of, in_one_line, shown

EXIT_DONE = 0
EXIT_FAILURE = 1
EXIT_USAGE = 2
EXIT_SKIP = 3
EXIT_ALARM = 4
_INSISTS_AFTER_SECONDS = 2.0  # SIGINT, where it was swallowed
EXIT_INTERRUPTED = 130  # as shells say of SIGINT: 128 + 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
      arguments: words after the program's name; those of the process if None.

    Returns:
      The exit code (see the module); a usage error exits with 2 by itself.
    """
    words = sys.argv[1:] if arguments is None else arguments
    try:
        options = parse.parser().parse_args(words)
    except OSError as error:  # --help and --version write
        return _unwritten(error)
    parse.set_up_logging(options.verbose)
    with _insisting():
        try:
            return _run(options, words)
        except KeyboardInterrupt:
            _insist_no_more()
            with contextlib.suppress(OSError):
                sys.stderr.write("tfx-graphlets: interrupted\n")
            return EXIT_INTERRUPTED


def program() -> NoReturn:
    """The program: ``main``, and an end that waits for nothing once it was interrupted.

    Libraries whose import or call was interrupted hang or crash when Python takes them down.
    """
    code = main()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # all is done and said
    if code == EXIT_INTERRUPTED:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        os._exit(code)
    sys.exit(code)


@contextlib.contextmanager
def _insisting() -> Iterator[None]:
    """SIGINT is raised again until it has ended the command.

    Libraries that are just being imported, or call back from native code, swallow what is
    raised in them. Where the program handles SIGINT itself nothing is changed.
    """
    if (
        threading.current_thread() is not threading.main_thread()
        or signal.getsignal(signal.SIGINT) is not signal.default_int_handler
    ):
        yield
        return

    on_unraisable, on_uncaught = sys.unraisablehook, sys.excepthook

    def interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
        signal.signal(signal.SIGALRM, interrupt)
        signal.setitimer(signal.ITIMER_REAL, _INSISTS_AFTER_SECONDS)
        raise KeyboardInterrupt

    def swallowed(found: sys.UnraisableHookArgs) -> None:
        if not issubclass(found.exc_type, KeyboardInterrupt):  # that comes again
            on_unraisable(found)

    def printed(
        kind: type[BaseException], error: BaseException, trace: TracebackType | None
    ) -> None:
        if not issubclass(kind, KeyboardInterrupt):  # Cython prints what it swallows
            on_uncaught(kind, error, trace)

    signal.signal(signal.SIGINT, interrupt)
    sys.unraisablehook, sys.excepthook = swallowed, printed
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGALRM) is interrupt:  # swallowed, and the command is done
            _insist_no_more()
        sys.unraisablehook, sys.excepthook = on_unraisable, on_uncaught
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _insist_no_more() -> None:
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, signal.SIG_IGN)  # it may be under way


def _run(options: argparse.Namespace, words: Sequence[str]) -> int:
    try:
        from tfx_graphlets.cli import command  # imports may find no memory

        with Progress() as options.progress:
            result = command.COMMANDS[options.command](options)
    except (GraphletsError, OSError) as error:  # OSError: a full disk, no permission
        return _fail(error, values.without_passwords(str(error), words), options.format)
    except Exception as error:
        if fault_of(error) is not Fault.OUT_OF_MEMORY:
            raise
        said = f"there is not enough memory ({in_one_line(error)}); allow more, or read less"
        return _fail(error, said, options.format)
    try:
        render.show(result, options.format, sys.stdout)
    except OSError as error:
        if code := _unwritten(error):
            return code
    if result.alarm:
        return EXIT_ALARM
    return EXIT_SKIP if result.skip else EXIT_DONE


def _fail(error: Exception, said: str, output_format: str) -> int:
    reason = shown(" ".join(said.split()))
    render.warn(reason, sys.stderr)
    if output_format == "json":
        try:
            render.show_error(error, reason, sys.stdout)
        except OSError:
            _let_go_of_stdout()
    return EXIT_FAILURE


def _unwritten(error: OSError) -> int:
    """The exit code where standard output cannot be written: 0 where its reader has seen enough."""
    _let_go_of_stdout()
    if isinstance(error, BrokenPipeError):
        return EXIT_DONE
    render.warn(f"standard output cannot be written: {error.strerror or error}", sys.stderr)
    return EXIT_FAILURE


def _let_go_of_stdout() -> None:
    """Python flushes standard output once more at its end, which would fail again."""
    if sys.stdout is None:  # it was closed
        return
    with contextlib.suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)
