#!/bin/sh
# Makes the environment of one TFX, .venv-1.16 or .venv-1.21, or brings it up to date, and writes
# the stamp file $1 into it last of all. `make` calls it when there is no stamp for this
# constraints.txt and setup.py. Which TFX: $TFX, else the one that .venv points to, else the one
# that choose_tfx.sh finds. `env.sh link` points .venv to it: what `make` uses without TFX=.
set -eu
cd "$(dirname "$0")/.."

say() { printf 'env: %s\n' "$*"; }

# Earlier releases had one environment, for TFX 1.16, in a folder .venv: it stays, under its name.
if [ -d .venv ] && [ ! -L .venv ]; then
  if [ -e .venv-1.16 ]; then rm -rf .venv; else
    mv .venv .venv-1.16
    ln -s .venv-1.16 .venv
    rm -f .venv/.installed-*
  fi
fi
if [ -z "${TFX:-}" ] && [ -L .venv ]; then
  tfx=$(readlink .venv)
  tfx=${tfx##*.venv-}
  why="TFX $tfx: .venv points to it (TFX=1.16 or TFX=1.21 chooses)"
else
  tfx=$(.ci/choose_tfx.sh)
  why=
fi
venv=.venv-$tfx
point() { [ "$(readlink .venv 2>/dev/null)" = "$venv" ] || ln -sfn "$venv" .venv; }

if [ "$1" = link ]; then
  point
  say ".venv points to $venv"
  exit 0
fi
[ -z "$why" ] || say "$why"

python=$venv/bin/python
underway=.cache/env_underway-$tfx # stands for as long as packages are half installed
pins=.cache/pins-$tfx.txt
case $tfx in
  1.16) supported='((3, 9), (3, 10))' half='<' size="3.3 GB" ;;
  *) supported='((3, 11), (3, 12), (3, 13))' half='>=' size="3.8 GB" ;;
esac

mkdir -p .cache
if [ -e "$underway" ] && [ -e "$venv" ]; then
  say "the last installation was interrupted: starting over"
  rm -rf "$venv"
fi
if [ -e "$python" ] && "$python" -c "import sys; sys.exit(sys.version_info[:2] not in $supported)" 2>/dev/null \
  && "$python" -m pip --version >/dev/null 2>&1; then
  say "bringing $venv up to date with constraints.txt"
  rm -f "$venv"/.installed-*
  : >"$underway"
else
  base=$(TFX=$tfx .ci/find_python.sh)
  # Whether the C library that Python stands on is too old, whoever asked for this TFX.
  if [ "$tfx" != 1.16 ] && [ "$(TFX='' PYTHON='' .ci/choose_tfx.sh 2>/dev/null)" != "$tfx" ]; then
    base=$(.ci/newer_python.sh "$base")
  fi
  : >"$underway"
  say "making $venv with $base"
  "$base" -m venv --clear "$venv"
fi

minor=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
sed -n "s/ *; python_version $half \"3\.11\"\$//; s/ *; python_version == \"$minor\"\$//; /^#/d; /;/d; p" constraints.txt >"$pins"
grep -E '^(pip|setuptools|wheel)==' "$pins" >.cache/build_tools.txt
pip_install() { "$python" -m pip install --no-deps --disable-pip-version-check --progress-bar off "$@"; }
if uv=$(.ci/find_uv.sh "$python") && "$uv" --version >/dev/null 2>&1; then
  say "installing what constraints.txt pins with $uv ($size, the first time 1 to 3 minutes)"
  if ! "$uv" pip install --python "$python" --no-deps --compile-bytecode --quiet -r "$pins" -b "$pins"; then
    say "uv could not; pip goes on"
    uv=
  fi
else
  uv=
fi
if [ -z "$uv" ]; then
  say "installing what constraints.txt pins with pip ($size, the first time 3 to 5 minutes)"
  pip_install --quiet -r .cache/build_tools.txt
  PIP_BUILD_CONSTRAINT=$pins pip_install -r "$pins"
fi
pip_install -qq --no-build-isolation -e .
"$python" -m pip check --disable-pip-version-check
"$python" -c 'import tfx_graphlets'

rm -f "$underway"
: >"$venv/${1##*/}"
[ -L .venv ] || point
say "ready: TFX $tfx on $("$python" --version) in $venv"
