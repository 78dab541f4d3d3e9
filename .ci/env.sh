#!/bin/sh
# Makes .venv, or brings it up to date, and writes the stamp file $1 last of all.
# `make env` calls it when there is no stamp for this constraints.txt and setup.py.
set -eu
cd "$(dirname "$0")/.."
stamp=$1
python=.venv/bin/python
underway=.cache/env_underway # stands for as long as packages are half installed

say() { printf 'env: %s\n' "$*"; }
install() { "$python" -m pip install --no-deps --disable-pip-version-check --progress-bar off "$@"; }

mkdir -p .cache
if [ -e "$underway" ] && [ -e .venv ]; then
  say "the last installation was interrupted: starting over"
  rm -rf .venv
fi
if [ -e "$python" ] && "$python" -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 9), (3, 10)))' 2>/dev/null \
  && "$python" -m pip --version >/dev/null 2>&1; then
  say "bringing .venv up to date with constraints.txt"
  rm -f .venv/.installed-*
  : >"$underway"
else
  base=$(.ci/find_python.sh)
  : >"$underway"
  say "making .venv with $base"
  "$base" -m venv --clear .venv
fi

say "installing what constraints.txt pins (about 3.3 GB, the first time 3 to 5 minutes)"
minor=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
sed -n "s/ *; python_version == \"$minor\"\$//; /^#/d; /;/d; p" constraints.txt >.cache/pins.txt
grep -E '^(pip|setuptools|wheel)==' .cache/pins.txt >.cache/build_tools.txt
install --quiet -r .cache/build_tools.txt
PIP_BUILD_CONSTRAINT=.cache/pins.txt install -r .cache/pins.txt
install -qq --no-build-isolation -e .
"$python" -m pip check --disable-pip-version-check
"$python" -c 'import tfx_graphlets'

rm -f "$underway"
: >"$stamp"
say "ready: $("$python" --version) in .venv"
