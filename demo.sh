#!/bin/sh
# Installs what is missing, builds r1 and trains a model from random weights until it thinks; ends with report.html.
set -eu
cd "$(dirname "$0")"
tools/install_deps.sh build
exec make demo
