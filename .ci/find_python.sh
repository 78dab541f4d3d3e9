#!/bin/sh
# Prints the path of a Python that TFX 1.16 supports: 3.10, or else 3.9.
#
# Where it looks, in this order: $PYTHON; python3.10, python3.9 and python3 in
# every directory of the PATH; pyenv's versions; uv, which may download one, and
# which is itself fetched with pip if it is not there.
# A candidate counts only if it runs: pyenv's shims are there for versions that
# are not selected, and fail. Which one it took goes to stderr.
set -u

say() { printf 'find_python: %s\n' "$*" >&2; }

# Prints the interpreter behind a candidate, or fails: it must run, be 3.10 or
# 3.9, and be able to make an environment. Inside a virtual environment the
# interpreter it was made from is meant, so that ours may be made anew from it.
probe() {
  "$1" -c '
import sys
if sys.version_info[:2] not in ((3, 9), (3, 10)):
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
  say "PYTHON=$PYTHON is not a Python 3.10 or 3.9 that runs and has ensurepip, sqlite3, ssl and venv; unset PYTHON to have one found, or name another."
  exit 1
fi

for name in python3.10 python3.9 python3; do
  rest=$PATH:
  while [ -n "$rest" ]; do
    directory=${rest%%:*}
    rest=${rest#*:}
    [ -x "${directory:-.}/$name" ] || continue
    take "${directory:-.}/$name" "$name on the PATH"
  done
done

pyenv_root=${PYENV_ROOT:-}
if [ -z "$pyenv_root" ] && command -v pyenv >/dev/null 2>&1; then
  pyenv_root=$(pyenv root 2>/dev/null) || pyenv_root=
fi
[ -n "$pyenv_root" ] || pyenv_root=${HOME:-}/.pyenv
for minor in 3.10 3.9; do
  patches=
  for directory in "$pyenv_root/versions/$minor".*; do
    patches="$patches ${directory##*.}"
  done
  for patch in $(printf '%s\n' $patches | sort -rn); do
    take "$pyenv_root/versions/$minor.$patch/bin/python" "pyenv's $minor.$patch"
  done
done

# uv: on the PATH, where its installer puts it, or else fetched with any pip there is.
uv=
fetched=$(dirname "$0")/../.cache/uv
for candidate in "$(command -v uv)" "${HOME:-}/.local/bin/uv" "${HOME:-}/.cargo/bin/uv" "$fetched/bin/uv"; do
  if [ -x "$candidate" ]; then uv=$candidate; break; fi
done
if [ -z "$uv" ]; then
  say "uv is not installed; fetching it with python3 -m pip"
  if python3 -m pip install --quiet --target "$fetched" uv >&2; then uv=$fetched/bin/uv; fi
fi
if [ -z "$uv" ]; then
  say "no Python 3.10 or 3.9 runs on the PATH or under $pyenv_root/versions, and uv, which could download one, is not there either; install Python 3.10, or uv, and try again."
  exit 1
fi
for minor in 3.10 3.9; do
  candidate=$("$uv" python find --no-project --system "$minor" 2>/dev/null) || continue
  take "$candidate" "found by uv"
done
say "asking $uv to download Python 3.10"
if "$uv" python install 3.10 >&2 && candidate=$("$uv" python find --no-project --system 3.10); then
  take "$candidate" "downloaded by uv"
fi
say "no Python 3.10 or 3.9 runs on the PATH or under $pyenv_root/versions, and uv could not download one; install Python 3.10 and try again."
exit 1
