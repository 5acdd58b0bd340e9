"""The peers that serve a saved model without code of one's own: MLServer and MLflow, each as its documentation has it.

python platforms.py FOLDER            writes the models for both
"""

import json
import logging
import sys
from pathlib import Path

import joblib
import mlflow.sklearn
import models


def written(folder: Path) -> None:
    """Writes `FOLDER/mlflow/<model>` and `FOLDER/mlserver/<model>`."""
    logging.getLogger("mlflow.sklearn").setLevel(logging.ERROR)  # it warns of pickles, as we do
    for name in models.MODELS:
        fitted = models.fitted(name)
        asked = "predict" if name == "isolation" else "predict_proba"
        mlflow.sklearn.save_model(
            fitted, str(folder / "mlflow" / name), serialization_format="cloudpickle", pyfunc_predict_fn=asked
        )
        _for_mlserver(folder / "mlserver" / name, name, fitted)


def _for_mlserver(place: Path, name: str, fitted: object) -> None:
    place.mkdir(parents=True)
    joblib.dump(fitted, place / "model.joblib")
    settings = {
        "name": name, "implementation": "mlserver_sklearn.SKLearnModel", "parameters": {"uri": "./model.joblib"},
    }  # fmt: skip
    (place / "model-settings.json").write_text(json.dumps(settings))


if __name__ == "__main__":
    written(Path(sys.argv[1]))
