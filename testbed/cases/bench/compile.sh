#!/usr/bin/env bash
# Compiles the program of the benches anew. Needs p4c; building and benching does not.
set -euo pipefail
cd "$(dirname "$0")"
p4c-bm2-ss --std p4-16 --p4runtime-files kinds.p4info.bin -o kinds.json kinds.p4
cd ../../..
BLESS=1 cargo test --quiet --package testbed --bin testbed bench::kinds
