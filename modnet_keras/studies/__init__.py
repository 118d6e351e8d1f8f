"""What is measured: what a child has forgotten of its parent's task, with its statistics."""
