"""What makes networks thin in every Python that starts with this folder on its PYTHONPATH.

For processes that tests start: Python loads a module of this name before anything else.
"""

import sys
from importlib.machinery import PathFinder

THIN = {"STEM_FILTERS": 16, "BLOCKS_PER_STAGE": 1}
"""For tests of what does not depend on the network: the same parts, few weights, one block a stage.

With under 16 filters, oneDNN writes past its memory
(https://github.com/uxlfoundation/oneDNN/issues/6035).
"""


class ThinNetworks:
    """Sets what `THIN` says as soon as the module is loaded that builds networks."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        if name != "modnet_keras.models.resnet":
            return None
        spec = PathFinder.find_spec(name, path, target)
        load = spec.loader.exec_module

        def load_thin(module):
            load(module)
            vars(module).update(THIN)

        spec.loader.exec_module = load_thin
        return spec


if __name__ == "sitecustomize":
    sys.meta_path.insert(0, ThinNetworks)
