"""A training container: writes what it was told to its own log and ends as its first argument says."""

import json
import os
import sys
import time

print(json.dumps({name: os.environ[name] for name in ("CLOUD_ML_JOB_ID", "AIP_MODEL_DIR", "COLOUR")}), flush=True)
if os.environ["ENDS"] == "never":
    time.sleep(600)
sys.exit(int(os.environ["ENDS"]))
