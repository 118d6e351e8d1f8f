"""Learn a semantic hierarchy one task at a time: networks that grow out of their parents.

The same as the commands, from Python. What there is stands in `__init__.pyi`; it is loaded, and
TensorFlow with it, only when it is used.
"""

import lazy_loader

from modnet_keras.convolutions import choose_onednn

choose_onednn()

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
