#!/bin/sh
# Creates the namespace that the coordinator uses and its search attributes, unless they are there. TEMPORAL_ADDRESS and
# TEMPORAL_NAMESPACE say where and which; RETENTION is how long the record of an ended operation can be looked at.
set -eu

attempts_left=24
until temporal operator cluster health; do
  attempts_left=$((attempts_left - 1))
  if [ "$attempts_left" -eq 0 ]; then
    echo "expected Temporal to answer at $TEMPORAL_ADDRESS within 2 minutes, it did not: look at the log of the service temporal" >&2
    exit 1
  fi
  sleep 5
done

if temporal operator namespace describe --namespace "$TEMPORAL_NAMESPACE" >/dev/null 2>&1; then
  echo "namespace $TEMPORAL_NAMESPACE is there"
else
  temporal operator namespace create --namespace "$TEMPORAL_NAMESPACE" --retention "$RETENTION"
fi

# An API would add them too. Two APIs that do so at the same moment can get two columns for one name.
temporal operator search-attribute create --namespace "$TEMPORAL_NAMESPACE" \
  --name CoordinatorCluster --type Keyword --name CoordinatorPhase --type Keyword
