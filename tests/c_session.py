"""A SavedModel in TensorFlow's C library, as a server has it: no Python of TensorFlow is imported.

    python c_session.py LIBRARY FOLDER ANSWER.npz INPUT=ARRAY.npy ... -- OUTPUT ...

INPUT and OUTPUT are names of tensors (NODE:k). Each output is asked for in the order given and kept
as value_0, value_1, ... Strings (numpy's fixed-width bytes) are laid out as in TensorFlow 1, whose
C library this runs in too: where each begins, then length and bytes of each.
"""

import ctypes
import sys

import numpy as np

STRING = 7  # TF_DataType, as the others here
TYPES = {2: np.float64, 1: np.float32, 3: np.int32, 9: np.int64, 10: np.bool_}


class Output(ctypes.Structure):
    _fields_ = [("operation", ctypes.c_void_p), ("index", ctypes.c_int)]


class CLibrary:
    """The few functions of c_api.h that loading and running needs."""

    def __init__(self, path):
        self.c = ctypes.CDLL(path)
        for name in ("TF_NewStatus", "TF_NewGraph", "TF_NewSessionOptions", "TF_AllocateTensor",
                     "TF_LoadSessionFromSavedModel", "TF_GraphOperationByName", "TF_TensorData"):
            getattr(self.c, name).restype = ctypes.c_void_p
        self.c.TF_Message.restype = ctypes.c_char_p
        self.c.TF_Dim.restype = ctypes.c_int64
        self.c.TF_TensorByteSize.restype = ctypes.c_size_t
        self.status = ctypes.c_void_p(self.c.TF_NewStatus())

    def checked(self):
        if self.c.TF_GetCode(self.status):
            sys.exit(self.c.TF_Message(self.status).decode())

    def load(self, folder):
        self.graph = ctypes.c_void_p(self.c.TF_NewGraph())
        options = ctypes.c_void_p(self.c.TF_NewSessionOptions())
        tags = (ctypes.c_char_p * 1)(b"serve")
        self.session = ctypes.c_void_p(self.c.TF_LoadSessionFromSavedModel(
            options, None, folder.encode(), tags, 1, self.graph, None, self.status))
        self.checked()

    def output(self, name):
        node, _, index = name.partition(":")
        operation = self.c.TF_GraphOperationByName(self.graph, node.encode())
        if not operation:
            sys.exit(f"no node {node!r}")
        return Output(operation, int(index or 0))

    def tensor(self, array):
        array = np.ascontiguousarray(array)
        if array.dtype.kind == "S":
            number, data = STRING, encoded(array.ravel().tolist())
        else:
            number, = (one for one, kind in TYPES.items() if array.dtype == kind)
            data = array.tobytes()
        dims = (ctypes.c_int64 * array.ndim)(*array.shape)
        tensor = self.c.TF_AllocateTensor(number, dims, array.ndim, ctypes.c_size_t(len(data)))
        ctypes.memmove(self.c.TF_TensorData(ctypes.c_void_p(tensor)), data, len(data))
        return tensor

    def run(self, fed, wanted):
        inputs = (Output * len(fed))(*map(self.output, fed))
        values = (ctypes.c_void_p * len(fed))(*map(self.tensor, fed.values()))
        outputs = (Output * len(wanted))(*map(self.output, wanted))
        results = (ctypes.c_void_p * len(wanted))()
        self.c.TF_SessionRun(self.session, None, inputs, values, len(fed), outputs, results,
                             len(wanted), None, 0, None, self.status)
        self.checked()
        return [self.array(ctypes.c_void_p(result)) for result in results]

    def array(self, tensor):
        shape = [self.c.TF_Dim(tensor, axis) for axis in range(self.c.TF_NumDims(tensor))]
        text = ctypes.string_at(self.c.TF_TensorData(tensor), self.c.TF_TensorByteSize(tensor))
        if self.c.TF_TensorType(tensor) == STRING:
            return np.array(decoded(text, int(np.prod(shape))), "S").reshape(shape)
        return np.frombuffer(text, TYPES[self.c.TF_TensorType(tensor)]).reshape(shape)


def encoded(texts):
    """Bytes objects as the data of a tensor."""
    parts = [varint(len(text)) + text for text in texts]
    starts = np.cumsum([0] + [len(part) for part in parts[:-1]], dtype=np.uint64)
    return starts[:len(parts)].tobytes() + b"".join(parts)


def decoded(data, count):
    """The other way round."""
    starts, texts = np.frombuffer(data, np.uint64, count), data[8 * count:]
    found = []
    for start in starts.tolist():
        size = shift = 0
        while True:
            byte = texts[start]
            size, shift, start = size | (byte & 127) << shift, shift + 7, start + 1
            if byte < 128:
                break
        found.append(texts[start:start + size])
    return found


def varint(number):
    """A length as protocol buffers write it."""
    found = b""
    while number > 127:
        found, number = found + bytes([number & 127 | 128]), number >> 7
    return found + bytes([number])


def main(library, folder, answer, *rest):
    split = rest.index("--")
    fed = {name: np.load(path) for name, path in (one.split("=") for one in rest[:split])}
    c = CLibrary(library)
    c.load(folder)
    found = c.run(fed, rest[split + 1:])
    np.savez(answer, **{f"value_{place}": value for place, value in enumerate(found)})


if __name__ == "__main__":
    main(*sys.argv[1:])
