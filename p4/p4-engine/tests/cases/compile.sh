#!/usr/bin/env bash
# Compiles the cases with p4c's bmv2 back end. Needs p4c-bm2-ss on the PATH; the tests do not.
set -euo pipefail
cd "$(dirname "$0")"
command -v p4c-bm2-ss >/dev/null || { echo "compile.sh: p4c-bm2-ss is not on the PATH; build p4c (https://github.com/p4lang/p4c) with its bmv2 back end" >&2; exit 2; }
for dir in */ ../programs/*/; do
    name=$(basename "$dir")
    (cd "$dir" && p4c-bm2-ss --std p4-16 --Wdisable -o "$name.json" "$name.p4")
done
