#!/bin/sh
# Installs the senders and the receiver of the end-to-end tests with the libraries of their own languages, and builds
# those that are compiled into .build. Does nothing, quickly, when the pinned versions are there already. Prints one line
# per language; with the name of a language as its argument, it does that one alone.
set -eu
only=${1:-}
cd "$(dirname "$0")"

# Two tests that start together must not install over each other.
exec 9< setup.sh
flock 9

# The files that decide what is installed, as one number.
fingerprint() { cat "$@" | sha256sum | cut -d ' ' -f 1; }

# wants LANGUAGE
wants() { [ -z "$only" ] || [ "$only" = "$1" ]; }

# is_ready STAMP FINGERPRINT
is_ready() { [ "$(cat "$1" 2> /dev/null || true)" = "$2" ]; }

python_packages="senders/python/requirements.txt receivers/python/requirements.txt"
# shellcheck disable=SC2086 # two names without spaces
wanted=$(fingerprint $python_packages)
if ! wants python; then
    :
elif is_ready .venv/.installed "$wanted" && [ -x .venv/bin/python ]; then
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
if ! wants node; then
    :
elif is_ready senders/node/node_modules/.installed "$wanted"; then
    echo "node: ready"
else
    (cd senders/node && npm ci --silent --no-audit --no-fund)
    echo "$wanted" > senders/node/node_modules/.installed
    echo "node: installed"
fi

# One Go module: the sender, telemetrygen and the Collector share most of what they need.
wanted=$(fingerprint senders/go/go.mod senders/go/go.sum senders/go/*/*.go)
if ! wants go; then
    :
elif is_ready .build/go/.installed "$wanted"; then
    echo "go: ready"
else
    mkdir -p .build/go
    built="$PWD/.build/go"
    # -p 2: the linker needs a gigabyte each; no symbols: they would only be kept
    # what it downloads is only of interest when it fails
    (cd senders/go && go build -p 2 -trimpath -ldflags '-s -w' -o "$built/" ./sender ./collector \
        github.com/open-telemetry/opentelemetry-collector-contrib/cmd/telemetrygen 2> "$built/.log") ||
        { cat "$built/.log" >&2; exit 1; }
    echo "$wanted" > .build/go/.installed
    echo "go: built"
fi

wanted=$(fingerprint senders/java/pom.xml senders/java/src/main/java/e2e/*.java)
if ! wants java; then
    :
elif is_ready .build/java/.installed "$wanted"; then
    echo "java: ready"
else
    rm -rf .build/java
    (cd senders/java && mvn --quiet --batch-mode compile)
    echo "$wanted" > .build/java/.installed
    echo "java: built"
fi
