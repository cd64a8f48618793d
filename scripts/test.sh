#!/bin/sh
# `npm test`: sets up what is missing, then runs everything CI runs, or the suites named: npm test -- raft
set -eu
cd "$(dirname "$0")/.."
sh scripts/setup.sh test
PATH=$PWD/node_modules/.peers:$PATH
export PATH
exec node_modules/.bin/node --disable-warning=ExperimentalWarning scripts/run-tests.ts "$@"
