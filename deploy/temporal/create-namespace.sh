#!/bin/sh
# Creates the namespace that the coordinator uses and its search attributes, unless they are there. TEMPORAL_ADDRESS and
# TEMPORAL_NAMESPACE say where and which; RETENTION is how long the record of an ended operation can be looked at.
set -eu

# Repeats a command for two minutes. `$1` is what a person reads when it never succeeds.
until_success() {
  advice=$1
  shift
  attempts_left=24
  until "$@"; do
    attempts_left=$((attempts_left - 1))
    if [ "$attempts_left" -eq 0 ]; then
      echo "$advice" >&2
      exit 1
    fi
    sleep 5
  done
}

until_success "expected Temporal to answer at $TEMPORAL_ADDRESS within 2 minutes, it did not: look at the log of the service temporal" \
  temporal operator cluster health

if temporal operator namespace describe --namespace "$TEMPORAL_NAMESPACE" >/dev/null 2>&1; then
  echo "namespace $TEMPORAL_NAMESPACE is there"
else
  temporal operator namespace create --namespace "$TEMPORAL_NAMESPACE" --retention "$RETENTION"
fi

# An API would add them too. Two APIs that do so at the same moment can get two columns for one name. The server knows a new namespace
# only after some seconds.
until_success "expected namespace $TEMPORAL_NAMESPACE to take search attributes within 2 minutes, it did not: see the errors above" \
  temporal operator search-attribute create --namespace "$TEMPORAL_NAMESPACE" \
  --name CoordinatorCluster --type Keyword --name CoordinatorPhase --type Keyword
