"""The part of Google Cloud that Serin uses, on one machine: Pub/Sub, Cloud Storage, Vertex AI, Scheduler, functions."""
