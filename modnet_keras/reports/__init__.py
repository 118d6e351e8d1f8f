"""What is shown: figures made from the files of runs alone, without TensorFlow."""
