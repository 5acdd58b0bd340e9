"""Cloud Run on one machine: services and jobs whose containers are processes, spoken to by Google's own client.

app         the REST wire of the Admin API v2; what is not here is answered as unimplemented
services    services and revisions as documents: orders, etags, what is carried out
instances   the processes of revisions: started when asked, kept while they must be, ended when idle
routing     requests to services: who may ask, and which revision answers
jobs        jobs and their executions
metadata    the metadata server's identity tokens, by which callers are known
"""

from local.run.server import Server, running

__all__ = ["Server", "running"]
