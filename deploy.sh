#!/usr/bin/env bash
# Puts Serin on Google Cloud, or takes it down again. ./deploy.sh --help tells the rest.
# The work is done by deploy/, which needs nothing but Python's standard library (and gcloud, unless --dry-run).
set -euo pipefail
here="$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)"
python="${PYTHON:-python3}"
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
  echo "deploy.sh needs Python 3.11 or newer: PYTHON=python3.11 ./deploy.sh …" >&2
  exit 2
fi
export PYTHONPATH="$here"
exec "$python" -m deploy "$@"
