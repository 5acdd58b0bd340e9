"""Vertex AI on one machine: jobs and serving containers are processes, everything else is a document.

wire       app (REST in, answers out)
state      documents (SQLite), jobs, registry, endpoints, operations
processes  containers (what an image's name stands for, and its environment)
"""

from local.vertex.server import Server, running

__all__ = ["Server", "running"]
