"""Cloud Scheduler on one machine, as far as Serin uses it: cron jobs that publish to topics.

wire       app (REST in, answers out)
state      jobs (what a job may be; pure), store (one JSON file, replaced whole), cron (unix cron lines; pure)
time       minutes (when a cron minute begins; a setting shortens it), beat (runs what is due)
out        publishing (to Pub/Sub, through Google's own client)
"""

from local.scheduler.server import Server, running

__all__ = ["Server", "running"]
