"""The demo data: photographs of nobody's camera, drawn by this package, so that all runs offline.

Some thirty classes stand in folders named by their WordNet ids. Places, light, clutter, sizes
and colours are shared by all classes, so that only shapes tell them apart.
"""

from modnet_keras.data.demo.folder import demo_folder, demo_place, draw_demo
from modnet_keras.data.demo.pictures import DEMO_CLASSES, draw_picture

__all__ = ["DEMO_CLASSES", "demo_folder", "demo_place", "draw_demo", "draw_picture"]
