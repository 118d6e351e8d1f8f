"""Loading what stays until the process ends."""

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def loaded_for_good() -> Iterator[None]:
    """Spare Python the search for garbage among what is loaded meanwhile, then and at the end.

    Of TensorFlow's hundreds of thousands of objects none is garbage before the process ends; to go
    through them again and again takes a quarter of a short command's time. For processes of our
    own: what was garbage before is kept too.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
