#!/usr/bin/env bash
# Compiles the pipeline with p4c's bmv2 back end and refreshes what is generated from it.
# Needs p4c-bm2-ss on the PATH; nothing else in the project does.
set -euo pipefail
cd "$(dirname "$0")"
command -v p4c-bm2-ss >/dev/null || { echo "compile.sh: p4c-bm2-ss is not on the PATH; build p4c (https://github.com/p4lang/p4c) with its bmv2 back end" >&2; exit 2; }
p4c-bm2-ss --std p4-16 --Wdisable=unused --p4runtime-files margay.p4info.txtpb,margay.p4info.bin -o margay.json margay.p4
cd ../..
BLESS=1 cargo test --quiet --package p4-tables --test generate
