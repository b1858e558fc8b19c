"""What both halves may import: specifications, records and their store; standard library only."""
