"""What pyproject.toml cannot say: the task specs at the top are installed inside the package."""

from setuptools import find_packages, setup

setup(
    packages=[
        *find_packages(include=["modnet_keras", "modnet_keras.*"]),
        "modnet_keras.task_specs",
    ],
    package_dir={"modnet_keras": "modnet_keras", "modnet_keras.task_specs": "task_specs"},
    package_data={
        "modnet_keras": ["*.pyi", "py.typed"],
        "modnet_keras.reports": ["*.j2"],
        "modnet_keras.serving": ["*.html", "*.j2"],
        "modnet_keras.task_specs": ["*.yaml"],
        "modnet_keras.tasks": ["*.tsv.gz"],
    },
)
