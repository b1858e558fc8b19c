"""How fast the trainer is beside what a user would pick instead: `python -m lab1 bench`."""
