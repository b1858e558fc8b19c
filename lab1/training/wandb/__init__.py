"""Runs on Weights & Biases: reported, sent and brought back."""
