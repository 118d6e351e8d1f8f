"""What is asked: task specs, their hierarchy, and the labels they give. Needs no TensorFlow."""

from modnet_keras.tasks.hierarchy import FoundTasks, Task, find_tasks, load_task
from modnet_keras.tasks.labels import Labeller, image_class
from modnet_keras.tasks.synsets import (
    find_synset,
    hypernym_distances,
    is_synset,
    is_synset_id,
    means_synset,
    synset_name,
)
from modnet_keras.tasks.task_spec import REST_OF_PARENT, TaskSpec, read_task_spec

__all__ = [
    "REST_OF_PARENT",
    "FoundTasks",
    "Labeller",
    "Task",
    "TaskSpec",
    "find_synset",
    "find_tasks",
    "hypernym_distances",
    "image_class",
    "is_synset",
    "is_synset_id",
    "load_task",
    "means_synset",
    "read_task_spec",
    "synset_name",
]
