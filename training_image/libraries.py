"""The libraries that a model is made with: evaluation and lineage name their versions."""

from importlib.metadata import version

_NAMES = ("numpy", "onnx", "onnxruntime", "scikit-learn", "scipy", "skl2onnx")


def library_versions() -> dict[str, str]:
    """The versions of the libraries whose change could change a model."""
    return {name: version(name) for name in _NAMES}
