"""The command with thin networks, for tests that train in processes of their own."""

import sys

from conftest import thin

from modnet_keras.loading import loaded_for_good
from modnet_keras.tools.__main__ import main

if __name__ == "__main__":
    with loaded_for_good():
        import modnet_keras.models.resnet  # noqa: F401, as the command would load it
    with thin():
        sys.exit(main(sys.argv[1:]))
