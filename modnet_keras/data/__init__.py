"""What is seen: data sources, the manifest of a task's images, and the input pipeline."""

AUGMENTATIONS = ("crop_flip", "flip", "none")
"""How training pictures may vary; here, as help texts name them without loading TensorFlow."""
