#!/bin/sh
# find_uv.sh [PYTHON]: prints the path of uv: on the PATH, where its installer puts it, or else
# fetched into .cache/uv with PYTHON's pip (python3's, if none is named). Fails where there is none.
set -u

fetched=$(dirname "$0")/../.cache/uv
for candidate in "$(command -v uv)" "${HOME:-}/.local/bin/uv" "${HOME:-}/.cargo/bin/uv" "$fetched/bin/uv"; do
  if [ -x "$candidate" ]; then
    printf '%s\n' "$candidate"
    exit 0
  fi
done
printf 'find_uv: uv is not installed; fetching it with %s -m pip\n' "${1:-python3}" >&2
"${1:-python3}" -m pip install --quiet --disable-pip-version-check --target "$fetched" uv >&2 || exit 1
[ -x "$fetched/bin/uv" ] || exit 1
printf '%s\n' "$fetched/bin/uv"
