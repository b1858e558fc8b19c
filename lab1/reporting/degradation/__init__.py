"""The degradation problem: plain and residual nets of twenty layers and more."""
