"""The container that answers `/health`, `/score` and the Vertex AI prediction routes."""
