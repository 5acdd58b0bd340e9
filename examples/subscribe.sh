#!/usr/bin/env sh
# Subscribes to what Serin tells people and takes what is there: examples/subscribe.sh PROJECT SUBSCRIPTION
set -eu
gcloud pubsub subscriptions describe "$2" --project "$1" > /dev/null 2>&1 ||
  gcloud pubsub subscriptions create "$2" --topic notifications --project "$1"
gcloud pubsub subscriptions pull "$2" --project "$1" --limit 100 --auto-ack --format 'json(message.data)'
