#!/bin/sh
# Installs what is missing, builds everything and runs every test; ends with "N passed, N failed".
set -eu
cd "$(dirname "$0")"
tools/install_deps.sh test
exec make test
