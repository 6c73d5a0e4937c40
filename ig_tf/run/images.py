"""Image files as the values of an input."""

import io

import numpy as np

from ig_tf.errors import RecordError

RANGE = (0.0, 1.0)  # of the pixels, for inputs of floats
_MODES = {1: "L", 3: "RGB", 4: "RGBA"}  # pillow's, by number of channels


class Encoded(bytes):
    """The bytes of an image file (JPEG, PNG, ...), to be decoded for inputs of pixels."""


def pixels(encoded, spec, axis, where, range=RANGE):
    """A decoded image in the size, channels and type of an input.

    Args:
      encoded: the file's bytes.
      spec: tf.TensorSpec of the input, of a whole batch.
      axis: the axis of the batch.
      where: for messages.
      range: what black and white are for an input of floats; integers get 0 to 255.

    Returns:
      An array of one example: [height, width, channels], [channels, height, width] or
      [height, width], as the input has it.

    Raises:
      RecordError: it is no image, or the input takes none.
    """
    height, width, channels, first = _layout(spec, axis, where)
    from PIL import Image
    try:
        with Image.open(io.BytesIO(encoded)) as image:
            image = image.convert(_MODES[channels or 1])
            if height or width:
                image = image.resize((width or image.width, height or image.height),
                                     Image.Resampling.BILINEAR)
            array = np.asarray(image)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise RecordError(f"{where}: no image that can be decoded: {error}") from error
    if channels == 1:
        array = array[..., None]
    array = np.moveaxis(array, -1, 0) if first else array
    dtype = spec.dtype.as_numpy_dtype
    if not spec.dtype.is_floating:
        return array.astype(dtype)
    low, high = range
    return (low + array * ((high - low) / 255)).astype(dtype)


def _layout(spec, axis, where):
    """(height, width, channels or None: no such axis, whether channels come first)."""
    sizes = [] if spec.shape.rank is None else spec.shape.as_list()
    del sizes[axis:axis + 1]
    if len(sizes) == 2:
        return sizes[0], sizes[1], None, False
    if len(sizes) == 3:
        if sizes[2] in _MODES:
            return *sizes, False
        if sizes[0] in _MODES:
            return sizes[1], sizes[2], sizes[0], True
        if sizes[2] is None:
            return sizes[0], sizes[1], 3, False
    raise RecordError(f"{where}: an input {spec.shape} takes no images; it would have to be "
                      "[batch, height, width, channels], or of strings (encoded images).")
