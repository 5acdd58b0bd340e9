"""The peer: what most teams write, and what was the fastest of the known ones in most rows: FastAPI around joblib.

    python fastapi_joblib.py train FOLDER            writes the models
    python fastapi_joblib.py serve FOLDER MODEL PORT

The endpoint is asynchronous on purpose: in a pool of threads, which `def` would mean, it answers fewer requests.
"""

import sys
from pathlib import Path

import joblib
import models
import numpy as np


def train(folder):
    """Writes every model as people do."""
    for name in models.MODELS:
        joblib.dump(models.fitted(name), Path(folder, f"{name}.joblib"))


def app(folder, name):
    """The application: typed rows in, label and probability (or anomaly score) out."""
    from fastapi import FastAPI
    from pydantic import BaseModel, create_model

    row = create_model("Row", **dict.fromkeys(models.NAMES, (float, ...)))
    request = create_model("Request", instances=(list[row], ...))
    model = joblib.load(Path(folder, f"{name}.joblib"))
    application = FastAPI()

    class Prediction(BaseModel):
        label: str
        probability: float

    class Anomaly(BaseModel):
        anomaly_score: float

    def matrix(asked):
        return np.array([[getattr(each, name) for name in models.NAMES] for each in asked.instances], np.float32)

    @application.get("/health")
    async def health():
        return {"status": "ok"}

    async def predict(asked: request):
        found = model.predict_proba(matrix(asked))
        best = found.argmax(axis=1)
        return {
            "predictions": [
                Prediction(label=str(model.classes_[label]), probability=float(row[label]))
                for label, row in zip(best, found, strict=True)
            ]
        }

    async def score(asked: request):
        return {"predictions": [Anomaly(anomaly_score=float(each)) for each in model.score_samples(matrix(asked))]}

    application.post("/predict")(score if name == "isolation" else predict)
    return application


def serve(folder, name, port):
    """Serves one model, with the fast loop and parser."""
    import uvicorn

    config = uvicorn.Config(
        app(folder, name), host="127.0.0.1", port=int(port), loop="uvloop", http="httptools", log_level="warning",
        access_log=False,
    )  # fmt: skip
    uvicorn.Server(config).run()


if __name__ == "__main__":
    {"train": train, "serve": serve}[sys.argv[1]](*sys.argv[2:])
