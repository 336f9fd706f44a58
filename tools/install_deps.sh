#!/bin/sh
# Installs, from Debian's packages, what is missing to build (first argument "build") or to build and test ("test").
# Does nothing where everything is there; uses sudo only when not root.
set -eu

packages="g++ make cmake ninja-build nlohmann-json3-dev libtomlplusplus-dev libfmt-dev libhwy-dev libssl-dev libcurl4-openssl-dev libicu-dev"
case "${1:-build}" in
  build) ;;
  test) packages="$packages libgtest-dev pkgconf zsh fish" ;;
  *) echo "usage: tools/install_deps.sh [build|test]" >&2; exit 64 ;;
esac

if ! command -v dpkg >/dev/null 2>&1; then
  echo "Not a Debian-like system: please see to these yourself (names as in Debian 12): $packages" >&2
  exit 0
fi

missing=""
for package in $packages; do
  if ! dpkg -s "$package" 2>/dev/null | grep -q '^Status: install ok installed'; then missing="$missing $package"; fi
done
[ -z "$missing" ] && exit 0

as_root=""
if [ "$(id -u)" -ne 0 ]; then
  as_root="sudo"
  if ! command -v sudo >/dev/null 2>&1; then
    echo "Missing packages:$missing" >&2
    echo "Not root and there is no sudo: please have them installed: apt-get install$missing" >&2
    exit 69
  fi
fi

echo "Installing:$missing"
$as_root env DEBIAN_FRONTEND=noninteractive apt-get update -q
# shellcheck disable=SC2086  # the list is meant to split into words
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing
