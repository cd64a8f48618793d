#!/bin/sh
# `npm start`: sets up what is missing, then `keelson up` with the arguments given after `--`.
set -eu
cd "$(dirname "$0")/.."
sh scripts/setup.sh run
exec bin/keelson up "$@"
