#!/bin/sh
# The programs that tests start and no Python package brings: a Chromium with its driver, which
# reads the report's page, Graphviz, which reads `segment --format dot`, and the servers that
# stores are kept on, MariaDB and PostgreSQL (the tests start their own, on a port of their own).
# On a Debian-like machine, as root, it installs what is missing; elsewhere it says what is.
set -eu

say() { printf 'programs: %s\n' "$*" >&2; }

PATH="$PATH:/usr/sbin:$(echo /usr/lib/postgresql/*/bin)"
programs="chromium:chromium chromedriver:chromium-driver dot:graphviz mariadbd:mariadb-server
  initdb:postgresql"
missing=
for pair in $programs; do
  command -v "${pair%%:*}" >/dev/null 2>&1 || missing="$missing ${pair#*:}"
done
if [ -z "$missing" ]; then
  say "all are there"
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
PATH="$PATH:$(echo /usr/lib/postgresql/*/bin)"
for pair in $programs; do
  command -v "${pair%%:*}" >/dev/null || { say "${pair%%:*} is still missing"; exit 1; }
done
say "ready"
