#!/bin/sh
# Prints the TFX that `make env` installs: $TFX if it names one, else the one that $PYTHON can
# have, else the newest that this machine's C library runs. Why goes to stderr.
#
# The wheels of ml-metadata 1.21 and tensorflow-data-validation 1.21 ask for glibc 2.39; what
# they use of it is GLIBC_2.38, and of libstdc++ GLIBCXX_3.4.32.
set -u

say() { printf 'env: %s\n' "$*" >&2; }
answer() { say "TFX $1: $2"; printf '%s\n' "$1"; exit 0; }

# Whether a version, MAJOR.MINOR, is at least another one.
at_least() { [ "${1%%.*}" -gt "${2%%.*}" ] || { [ "${1%%.*}" = "${2%%.*}" ] && [ "${1#*.}" -ge "${2#*.}" ]; }; }

case "${TFX:-}" in
  1.16 | 1.21) answer "$TFX" "TFX=$TFX asks for it" ;;
  '') ;;
  *) say "TFX=$TFX is not supported: say TFX=1.16 or TFX=1.21, or leave it out."; exit 1 ;;
esac

if [ -n "${PYTHON:-}" ]; then
  minor=$("$PYTHON" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)
  case "$minor" in
    3.11 | 3.12 | 3.13) answer 1.21 "PYTHON=$PYTHON is Python $minor, and TFX 1.16 ends with 3.10" ;;
    *) answer 1.16 "PYTHON=$PYTHON is Python ${minor:-of no known version}, and our TFX 1.21 begins with 3.11" ;;
  esac
fi

libc=$(getconf GNU_LIBC_VERSION 2>/dev/null)
libc=${libc#glibc }
if [ -z "$libc" ]; then
  answer 1.16 "this machine's C library is not glibc, which TFX 1.21 needs from 2.38 on"
fi
if ! at_least "$libc" 2.38; then
  answer 1.16 "glibc is $libc here, and TFX 1.21 needs 2.38 (TFX=1.21 brings a newer one along, where it can)"
fi
known=$(ldconfig -p 2>/dev/null | sed -n 's/.*libstdc++\.so\.6 .*=> //p')
for library in $known /usr/lib/*/libstdc++.so.6 /usr/lib64/libstdc++.so.6; do
  if grep -aq 'GLIBCXX_3\.4\.32' "$library" 2>/dev/null; then
    answer 1.21 "glibc $libc and $library are new enough for it"
  fi
done
answer 1.16 "no libstdc++ here has GLIBCXX_3.4.32, which TFX 1.21 needs (Debian: libstdc++6 of 13 or later)"
