"""A laboratory on deep residual learning that publishes itself.

The package has two halves that meet only in a run record (:mod:`lab1.store`):
:mod:`lab1.training` trains (torch, torchvision) and :mod:`lab1.reporting` turns
records into tables and charts (pandas, Altair).  Importing ``lab1`` imports neither.
"""

__version__ = "0.1.0"
