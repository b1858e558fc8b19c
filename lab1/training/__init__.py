"""The half that trains: torch and torchvision, never pandas or Altair."""
