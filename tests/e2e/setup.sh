#!/bin/sh
# Installs the senders and the receiver of the end-to-end tests, each with the libraries of its own language.
# Does nothing, quickly, when the pinned versions are installed already. Prints one line per part.
set -eu
cd "$(dirname "$0")"

# The content of the files that decide what is installed.
fingerprint() { cat "$@" | sha256sum | cut -d ' ' -f 1; }

# python_part NAME REQUIREMENTS
python_part() {
    part=$1 requirements=$2
    venv=.venv/$part
    wanted=$(fingerprint "$requirements")
    if [ -x "$venv/bin/python" ] && [ "$(cat "$venv/.installed" 2>/dev/null || true)" = "$wanted" ]; then
        echo "$part: ready"
        return
    fi
    rm -rf "$venv"
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check --no-input -r "$requirements"
    echo "$wanted" > "$venv/.installed"
    echo "$part: installed"
}

node_part() {
    part=senders/node
    wanted=$(fingerprint "$part/package.json" "$part/package-lock.json")
    if [ "$(cat "$part/node_modules/.installed" 2>/dev/null || true)" = "$wanted" ]; then
        echo "$part: ready"
        return
    fi
    (cd "$part" && npm ci --silent --no-audit --no-fund)
    echo "$wanted" > "$part/node_modules/.installed"
    echo "$part: installed"
}

# two tests that start together must not install over each other
mkdir -p .venv
exec 9> .venv/lock
flock 9

python_part senders-python senders/python/requirements.txt
python_part receivers-python receivers/python/requirements.txt
node_part
