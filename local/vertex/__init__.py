"""Vertex AI on one machine, as far as Serin uses it: jobs and serving containers are processes, the rest is documents.

wire        app → predictions (REST in, answers out), fields, filters
state       job_runs (rules: jobs), batch_runs (rules: batch_jobs), registry, endpoints (rules: traffic),
            operations; all of it in local/documents (SQLite)
processes   serving, in local/containers (what an image's name stands for, and its environment)
out         http_client, objects, artefacts (copied at upload)
open        switches (what Google's documents do not say)

Beyond Google's API there is one address: GET /local/logs/customJobs/ID?offset=BYTES answers a job's output as text.
"""

from local.containers import Image
from local.vertex.server import Server, running
from local.vertex.switches import Durations, Switches

__all__ = ["Durations", "Image", "Server", "Switches", "running"]
