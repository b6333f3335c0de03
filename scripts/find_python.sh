#!/bin/sh
# Prints the command of a Python that can run gatewayctl: 3.11 or newer, with venv and pip's
# bootstrap. PYTHON=... in the environment is tried alone. Explains on stderr what is missing.
set -u

candidates=${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11 python}
without_venv=
for candidate in $candidates; do
    # A name on the PATH proves nothing: version managers put stubs there that only fail.
    "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue
    if "$candidate" -c 'import ensurepip, venv' 2>/dev/null; then
        echo "$candidate"
        exit 0
    fi
    without_venv=${without_venv:-$candidate}
done

if [ -n "$without_venv" ]; then
    echo "$without_venv is new enough but has no venv module. On Debian and Ubuntu:" >&2
    echo "    sudo apt-get install python3-venv" >&2
else
    echo "gatewayctl needs Python 3.11 or newer; none of these is: $candidates" >&2
    echo "Install one, or name it: make PYTHON=/path/to/python3 ..." >&2
fi
exit 1
