"""How fast libjpeg-turbo decodes the windows that the pipeline cuts, and does nothing else.

PyTurboJPEG cannot decode a part of a picture, so this is the library itself, compiled on the spot:
it takes a C compiler and libjpeg-turbo's headers (Debian: gcc, libjpeg62-turbo-dev).
"""

import concurrent.futures
import ctypes
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import tensorflow as tf

from benchmarks.pictures import list_pictures
from modnet_keras.data.crops import draw_window, random_resized_window
from modnet_keras.data.decode import image_shape

VIEWS = 20
THREADS = 2


def decode_windows(folder, area):
    """Read a file, decode a random window of it; in two threads, over all files and again."""
    library = _compiled()
    windows = [
        (str(Path(folder) / path), _drawn(Path(folder) / path, (number, view), area))
        for number, path in enumerate(list_pictures(folder))
        for view in range(VIEWS)
    ]
    windows = [windows[place] for place in np.random.default_rng(0).permutation(len(windows))]
    parts = [windows[number::THREADS] for number in range(THREADS)]
    executor = concurrent.futures.ThreadPoolExecutor(THREADS)

    def work():
        return sum(executor.map(lambda part: _decode_all(library, part), parts))

    return work


def _decode_all(library, windows):
    rows = np.empty(64 * 2**20, "uint8")
    target = rows.ctypes.data_as(ctypes.POINTER(ctypes.c_ubyte))
    for path, (top, left, height, width) in windows:
        contents = Path(path).read_bytes()
        if not library.crop_decode(contents, len(contents), top, left, height, width, target):
            raise RuntimeError(f"libjpeg-turbo cannot decode {path}")
    return len(windows)


@tf.function
def _window(contents, seed, area):
    drawn = draw_window(seed)
    return random_resized_window(*image_shape(contents), drawn, area=(area[0], area[1]))


def _drawn(path, seed, area):
    contents = tf.constant(path.read_bytes())
    return _window(contents, tf.constant(seed, tf.int64), tf.constant(area)).numpy().tolist()


def _compiled():
    source = Path(__file__).with_name("crop_decode.c")
    with tempfile.TemporaryDirectory() as folder:
        built = Path(folder) / "crop_decode.so"
        command = ["cc", "-O3", "-shared", "-fPIC", "-o", built, source, "-ljpeg"]
        try:
            subprocess.run(command, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise SystemExit(
                "input.decode_limit needs a C compiler and libjpeg-turbo's headers, on Debian "
                f"'apt-get install gcc libjpeg62-turbo-dev' ({error})."
            ) from error
        library = ctypes.CDLL(str(built))
    library.crop_decode.restype = ctypes.c_long
    library.crop_decode.argtypes = [
        ctypes.c_char_p,
        ctypes.c_ulong,
        *[ctypes.c_uint] * 4,
        ctypes.POINTER(ctypes.c_ubyte),
    ]
    return library
