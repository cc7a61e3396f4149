#!/bin/sh
# Installs the senders and the receiver of the end-to-end tests with the libraries of their own languages.
# Does nothing, quickly, when the pinned versions are installed already. Prints one line per language.
set -eu
cd "$(dirname "$0")"

# Two tests that start together must not install over each other.
exec 9< setup.sh
flock 9

# The files that decide what is installed, as one number.
fingerprint() { cat "$@" | sha256sum | cut -d ' ' -f 1; }

# is_ready STAMP FINGERPRINT
is_ready() { [ "$(cat "$1" 2> /dev/null || true)" = "$2" ]; }

python_packages="senders/python/requirements.txt receivers/python/requirements.txt"
# shellcheck disable=SC2086 # two names without spaces
wanted=$(fingerprint $python_packages)
if is_ready .venv/.installed "$wanted" && [ -x .venv/bin/python ]; then
    echo "python: ready"
else
    rm -rf .venv
    python3 -m venv .venv
    for packages in $python_packages; do
        .venv/bin/pip install --quiet --disable-pip-version-check --no-input -r "$packages"
    done
    echo "$wanted" > .venv/.installed
    echo "python: installed"
fi

wanted=$(fingerprint senders/node/package.json senders/node/package-lock.json)
if is_ready senders/node/node_modules/.installed "$wanted"; then
    echo "node: ready"
else
    (cd senders/node && npm ci --silent --no-audit --no-fund)
    echo "$wanted" > senders/node/node_modules/.installed
    echo "node: installed"
fi
