#!/usr/bin/env bash
# Install Chromium from Debian's packages where this user may; otherwise say how. Never fails:
# the tests that need a browser skip without one.
set -uo pipefail
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  echo "installing Chromium for the tests of pages" >&2
  apt-get update -qq >&2 &&
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
      chromium fonts-dejavu-core >/dev/null && exit 0
fi
echo "no Chromium: the tests of pages will be skipped; to run them: sudo apt-get install chromium" >&2
exit 0
