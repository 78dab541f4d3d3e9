#!/bin/sh
# The programs that tests start and no Python package brings: a Chromium with its driver, which
# reads the report's page, and Graphviz, which reads `segment --format dot`.
# On a Debian-like machine, as root, it installs what is missing; elsewhere it says what is.
set -eu

say() { printf 'programs: %s\n' "$*" >&2; }

missing=
for pair in chromium:chromium chromedriver:chromium-driver dot:graphviz; do
  command -v "${pair%%:*}" >/dev/null 2>&1 || missing="$missing ${pair#*:}"
done
if [ -z "$missing" ]; then
  say "chromium, chromedriver and dot are there"
  exit 0
fi
if ! command -v apt-get >/dev/null 2>&1 || [ "$(id -u)" -ne 0 ]; then
  say "missing:$missing. As root on Debian: apt-get install$missing. The tests that need them" \
    "skip, and fail where CI is set"
  exit 0
fi
say "installing$missing"
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# shellcheck disable=SC2086  # one word a package
apt-get install -y -qq --no-install-recommends $missing >/dev/null
for program in chromium chromedriver dot; do
  command -v "$program" >/dev/null || { say "$program is still missing"; exit 1; }
done
say "ready"
