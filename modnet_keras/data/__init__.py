"""What is seen: data sources, the manifest of a task's images, and the input pipeline."""
