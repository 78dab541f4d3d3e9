#!/bin/sh
# Prints the path of a Python for $TFX: 3.10, or else 3.9, for TFX 1.16; 3.12, or else 3.11 or
# 3.13, for TFX 1.21.
#
# Where it looks, in this order: $PYTHON; for each of these versions the PATH and then pyenv; a
# python3 of one of them on the PATH; uv, which may download one, and which is itself fetched
# with pip if it is not there.
# A candidate counts only if it runs: pyenv's shims are there for versions that
# are not selected, and fail. Which one it took goes to stderr.
set -u

case "${TFX:-1.16}" in
  1.16) minors='3.10 3.9' supported='((3, 10), (3, 9))' named='3.10 or 3.9' ;;
  *) minors='3.12 3.11 3.13' supported='((3, 12), (3, 11), (3, 13))' named='3.12, 3.11 or 3.13' ;;
esac
first=${minors%% *}

say() { printf 'find_python: %s\n' "$*" >&2; }

# Prints the interpreter behind a candidate, or fails: it must run, be of a named
# version, and be able to make an environment. Inside a virtual environment the
# interpreter it was made from is meant, so that ours may be made anew from it.
probe() {
  "$1" -c '
import sys
if sys.version_info[:2] not in '"$supported"':
    raise SystemExit(1)
import ensurepip, sqlite3, ssl, venv
if sys.prefix == sys.base_prefix:
    print(sys.executable)
else:
    print("%s/bin/python%d.%d" % (sys.base_prefix, *sys.version_info[:2]))
' 2>/dev/null
}

take() {
  found=$(probe "$1") || return 1
  [ -n "$found" ] || return 1
  say "took $found ($2)"
  printf '%s\n' "$found"
  exit 0
}

if [ -n "${PYTHON:-}" ]; then
  take "$PYTHON" 'from $PYTHON'
  say "PYTHON=$PYTHON is not a Python $named that runs and has ensurepip, sqlite3, ssl and venv; unset PYTHON to have one found, or name another."
  exit 1
fi

on_the_path() {
  rest=$PATH:
  while [ -n "$rest" ]; do
    directory=${rest%%:*}
    rest=${rest#*:}
    [ -x "${directory:-.}/$1" ] || continue
    take "${directory:-.}/$1" "$1 on the PATH"
  done
}

pyenv_root=${PYENV_ROOT:-}
if [ -z "$pyenv_root" ] && command -v pyenv >/dev/null 2>&1; then
  pyenv_root=$(pyenv root 2>/dev/null) || pyenv_root=
fi
[ -n "$pyenv_root" ] || pyenv_root=${HOME:-}/.pyenv
for minor in $minors; do
  on_the_path "python$minor"
  patches=
  for directory in "$pyenv_root/versions/$minor".*; do
    patches="$patches ${directory##*.}"
  done
  for patch in $(printf '%s\n' $patches | sort -rn); do
    take "$pyenv_root/versions/$minor.$patch/bin/python" "pyenv's $minor.$patch"
  done
done
on_the_path python3

uv=$("$(dirname "$0")/find_uv.sh") || uv=
if [ -z "$uv" ]; then
  say "no Python $named runs on the PATH or under $pyenv_root/versions, and uv, which could download one, is not there either; install Python $first, or uv, and try again."
  exit 1
fi
for minor in $minors; do
  candidate=$("$uv" python find --no-project --system "$minor" 2>/dev/null) || continue
  take "$candidate" "found by uv"
done
say "asking $uv to download Python $first"
if "$uv" python install "$first" >&2 && candidate=$("$uv" python find --no-project --system "$first"); then
  take "$candidate" "downloaded by uv"
fi
say "no Python $named runs on the PATH or under $pyenv_root/versions, and uv could not download one; install Python $first and try again."
exit 1
