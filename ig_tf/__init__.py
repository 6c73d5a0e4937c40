"""ig_tf: Integrated Gradients as a signature of the TensorFlow model that you already have.

The verbs: load, locate, instrument, save, attribute, check, render, show; and, for the process that
builds a model, record_feature_columns, enable_ and disable_feature_column_recording. Each is
imported when it is first used, so `import ig_tf` is fast and needs nothing.
"""

__version__ = "0.1.0"

# verb -> the module that it stands in
_VERBS = {
    "load": "ig_tf.api",
    "locate": "ig_tf.api",
    "instrument": "ig_tf.api",
    "save": "ig_tf.api",
    "attribute": "ig_tf.run.attribute",
    "check": "ig_tf.checking",
    "render": "ig_tf.rendering.report",
    "show": "ig_tf.rendering.notebook",
    "record_feature_columns": "ig_tf.points.feature_columns",
    "enable_feature_column_recording": "ig_tf.points.feature_columns",
    "disable_feature_column_recording": "ig_tf.points.feature_columns",
}
# verb -> its name in that module, where it is another
_NAMES = {
    "enable_feature_column_recording": "enable",
    "disable_feature_column_recording": "disable",
}
# verb -> what a notebook needs to draw what it returns
_DRAWN = {"attribute": "ig_tf.rendering.notebook"}
__all__ = [*_VERBS, "errors"]


def __getattr__(name):
    import importlib
    if name == "errors":
        return importlib.import_module("ig_tf.errors")
    if name not in _VERBS:
        raise AttributeError(f"module 'ig_tf' has no attribute {name!r}")
    if name in _DRAWN:
        importlib.import_module(_DRAWN[name])
    value = getattr(importlib.import_module(_VERBS[name]), _NAMES.get(name, name))
    globals()[name] = value
    return value


def __dir__():
    return sorted(__all__)
