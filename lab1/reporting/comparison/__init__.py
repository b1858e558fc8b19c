"""Exercises 1.1 to 1.3: families compared by depth."""
