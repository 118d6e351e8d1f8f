"""How it learns: options and their plan, strategies, recipes, the trainer, runs."""
