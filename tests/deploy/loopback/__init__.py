"""Google's APIs on this machine, as far as gcloud asks them for a deployment; every request is recorded."""
